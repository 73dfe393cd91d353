"""Limit how often an address asks, exactly over all processes."""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        'rate_limits',
        sa.Column('bucket', sa.String(length=200), nullable=False),
        sa.Column('arrival', sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint('bucket', name=op.f('pk_rate_limits')),
        prefixes=['UNLOGGED'],
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table('rate_limits')
