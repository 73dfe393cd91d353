"""Tell of each answer how it ended, when its first token came, how many tokens it has and by which configuration."""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column('ab_test_logs', sa.Column('status', sa.String(length=20), nullable=True))
    op.add_column('ab_test_logs', sa.Column('exposure', sa.String(length=20), nullable=True))
    op.add_column('ab_test_logs', sa.Column('first_token_ms', sa.Integer(), nullable=True))
    op.add_column('ab_test_logs', sa.Column('prompt_tokens', sa.Integer(), nullable=True))
    op.add_column('ab_test_logs', sa.Column('completion_tokens', sa.Integer(), nullable=True))
    op.add_column('ab_test_logs', sa.Column('table_version', sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in ('table_version', 'completion_tokens', 'prompt_tokens', 'first_token_ms', 'exposure', 'status'):
        op.drop_column('ab_test_logs', name)
