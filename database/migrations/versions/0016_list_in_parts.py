"""Let lists be read in parts: an index in the order of each."""

from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None

INDEXES = {
    'training_datasets': ['created_at', 'id'],
    'finetuning_jobs': ['created_at', 'id'],
    'model_registry': ['created_at', 'id'],
    'ab_experiments': ['start_date', 'id'],
    'pipeline_runs': ['started_at', 'run_id'],
    'api_keys': ['created_at', 'prefix'],
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table, columns in INDEXES.items():
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table, columns in INDEXES.items():
        op.drop_index(f"ix_{table}_{'_'.join(columns)}", table_name=table)
