"""Let several A/B tests run at a time, each on its own part of the users."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column(
        'ab_experiments',
        sa.Column('buckets', postgresql.INT4MULTIRANGE(), server_default=sa.text("'{[0,1000)}'::int4multirange"), nullable=False),
    )
    op.drop_index('uq_ab_experiments_one_running', table_name='ab_experiments')
    op.create_exclude_constraint(
        'ex_ab_experiments_buckets', 'ab_experiments', ('buckets', '&&'), where=sa.text("status = 'running'"), using='gist'
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # only one may run there: the newest goes on
    op.execute(
        "UPDATE ab_experiments SET status = 'stopped', end_date = now() WHERE status = 'running' "
        "AND id < (SELECT max(id) FROM ab_experiments WHERE status = 'running')"
    )
    op.drop_constraint('ex_ab_experiments_buckets', 'ab_experiments')
    op.create_index(
        'uq_ab_experiments_one_running', 'ab_experiments', ['status'], unique=True,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.drop_column('ab_experiments', 'buckets')
