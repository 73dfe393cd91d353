"""Let a lease say what its card is for, and when its holder was last known to live."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # an ALTER behind a long transaction would stop every reader: give up instead, and be run again
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("gpu_leases", sa.Column("kind", sa.String(length=20), server_default="training", nullable=False))
    op.add_column(
        "gpu_leases",
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.execute("UPDATE gpu_leases SET kind = 'serving' WHERE owner LIKE 'model-server-%'")
    op.execute("UPDATE gpu_leases SET kind = 'evaluation' WHERE owner LIKE 'evaluate-%'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_column("gpu_leases", "heartbeat_at")
    op.drop_column("gpu_leases", "kind")
