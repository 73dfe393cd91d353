"""Keep shadow replays of A/B tests; what was planned and found stays as it is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None

KEEP_REPLAYS = """
CREATE FUNCTION keep_ab_test_replay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.experiment_id <> OLD.experiment_id OR NEW.number <> OLD.number OR NEW.plan <> OLD.plan
        OR (OLD.result IS NOT NULL AND NEW.result IS DISTINCT FROM OLD.result) THEN
        RAISE EXCEPTION 'replay % of A/B test % stands', OLD.number, OLD.experiment_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table('ab_test_replays',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('experiment_id', sa.Integer(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('plan', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('result', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['experiment_id'], ['ab_experiments.id'], name=op.f('fk_ab_test_replays_experiment_id_ab_experiments')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ab_test_replays')),
    sa.UniqueConstraint('experiment_id', 'number', name='uq_ab_test_replays_experiment_id_number')
    )
    op.execute(KEEP_REPLAYS)
    op.execute(
        "CREATE TRIGGER keep_ab_test_replay BEFORE UPDATE OR DELETE ON ab_test_replays "
        "FOR EACH ROW EXECUTE FUNCTION keep_ab_test_replay()"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table('ab_test_replays')
    op.execute("DROP FUNCTION keep_ab_test_replay()")
