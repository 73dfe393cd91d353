"""Let people review generated samples."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # an ALTER behind a long transaction would stop every reader: give up instead, and be run again
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "sample_reviews",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("generation_id", sa.String(length=128), nullable=False),
        sa.Column("dataset_name", sa.String(length=255), nullable=False),
        sa.Column("sample_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("template", sa.String(length=50), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("grounding", sa.Float(), nullable=False),
        sa.Column("quality", sa.Float(), nullable=False),
        sa.Column("messages", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("passage", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=True),
        sa.Column("edited_messages", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("reviewer", sa.String(length=255), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample_reviews")),
        sa.UniqueConstraint("generation_id", "sample_id", name=op.f("uq_sample_reviews_generation_id_sample_id")),
    )
    op.create_index(
        "ix_sample_reviews_generation_id_position", "sample_reviews", ["generation_id", "position"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_sample_reviews_generation_id_position", table_name="sample_reviews")
    op.drop_table("sample_reviews")
