"""Keep deployments and their states, how they went from one to the next, and parity certificates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "model_deployments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(length=1), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("config", postgresql.JSONB(), nullable=False),
        sa.Column("server_key", sa.String(length=100), nullable=False),
        sa.Column("served_model_name", sa.String(length=255), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("backend", sa.String(length=20), nullable=True),
        sa.Column("failure", postgresql.JSONB(), nullable=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model_registry.id"], name=op.f("fk_model_deployments_model_id_model_registry")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_deployments")),
    )
    op.create_index(op.f("ix_model_deployments_model_id"), "model_deployments", ["model_id"])
    op.create_index(op.f("ix_model_deployments_server_key"), "model_deployments", ["server_key"])
    op.create_index(
        "uq_model_deployments_one_live",
        "model_deployments",
        ["model_id"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('stopped', 'failed')"),
    )
    op.create_table(
        "model_deployment_transitions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=True),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("details", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["model_deployments.id"],
            name=op.f("fk_model_deployment_transitions_deployment_id_model_deployments"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_deployment_transitions")),
    )
    op.create_index(
        op.f("ix_model_deployment_transitions_deployment_id"), "model_deployment_transitions", ["deployment_id"]
    )
    op.create_table(
        "parity_certificates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("engine", sa.String(length=100), nullable=False),
        sa.Column("certificate", postgresql.JSONB(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["model_deployments.id"],
            name=op.f("fk_parity_certificates_deployment_id_model_deployments"),
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model_registry.id"], name=op.f("fk_parity_certificates_model_id_model_registry")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parity_certificates")),
    )
    op.create_index(op.f("ix_parity_certificates_model_id"), "parity_certificates", ["model_id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("parity_certificates")
    op.drop_table("model_deployment_transitions")
    op.drop_table("model_deployments")
