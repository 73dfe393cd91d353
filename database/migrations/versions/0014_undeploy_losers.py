"""Remember of which ended A/B tests the loser has left service."""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column('ab_experiment_decisions', sa.Column('loser_left_at', sa.DateTime(timezone=True), nullable=True))
    # whoever lost before is left where a person has left them
    op.execute("UPDATE ab_experiment_decisions SET loser_left_at = carried_out_at WHERE carried_out_at IS NOT NULL")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column('ab_experiment_decisions', 'loser_left_at')
