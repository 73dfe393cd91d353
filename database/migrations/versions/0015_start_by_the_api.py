"""Remember the keys of calls that start something, and what a job was asked for."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        'idempotency_keys',
        sa.Column('user_id', sa.Integer(), sa.ForeignKey('users.id', ondelete='CASCADE'), primary_key=True),
        sa.Column('key', sa.String(200), primary_key=True),
        sa.Column('fingerprint', sa.String(64), nullable=False),
        sa.Column('answer', postgresql.JSONB(), nullable=True),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False, index=True),
    )
    op.add_column('finetuning_jobs', sa.Column('request', postgresql.JSONB(), nullable=True))
    op.add_column('finetuning_jobs', sa.Column('dag_run_id', sa.String(255), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column('finetuning_jobs', 'dag_run_id')
    op.drop_column('finetuning_jobs', 'request')
    op.drop_table('idempotency_keys')
