"""Give Optuna a schema of its own: the trials of sweeps."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # Optuna makes its tables in it at the first sweep, and its own alembic_version beside them
    op.execute("CREATE SCHEMA IF NOT EXISTS optuna")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP SCHEMA IF EXISTS optuna CASCADE")
