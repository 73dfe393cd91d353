"""Know people of the site's OIDC provider by what the provider calls them, whatever name they have here."""

import sqlalchemy as sa
from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column('users', sa.Column('external_id', sa.String(600), nullable=True))
    op.create_unique_constraint('uq_users_external_id', 'users', ['external_id'])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_constraint('uq_users_external_id', 'users')
    op.drop_column('users', 'external_id')
