"""Keep the arms of A/B tests by name, as many as there are; what was planned of them stays as it is."""

import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None

# names of up to 32 characters: PostgreSQL widens a varchar without touching the rows
NAMED_COLUMNS = (
    ('ab_test_assignments', 'variant'), ('ab_test_logs', 'variant'), ('ab_test_logs', 'assigned_variant'), ('ab_test_results', 'variant'),
)

BACKFILL = """
INSERT INTO ab_experiment_arms (experiment_id, position, name, model_id, share)
SELECT experiment.id, arm.position, arm.name, arm.model_id, coalesce((experiment.traffic_split ->> arm.name)::double precision, 0.5)
FROM ab_experiments experiment,
    LATERAL (VALUES (0, 'a', experiment.model_a_id), (1, 'b', experiment.model_b_id)) AS arm (position, name, model_id)
"""

KEEP_ARMS = """
CREATE FUNCTION keep_ab_experiment_arm() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (NEW.experiment_id, NEW.position, NEW.name, NEW.model_id, NEW.share)
            IS DISTINCT FROM (OLD.experiment_id, OLD.position, OLD.name, OLD.model_id, OLD.share)
        OR (OLD.dropped_at IS NOT NULL AND (NEW.dropped_at, NEW.drop_cause, NEW.drop_reason)
            IS DISTINCT FROM (OLD.dropped_at, OLD.drop_cause, OLD.drop_reason)) THEN
        RAISE EXCEPTION 'arm % of A/B test % stands', OLD.name, OLD.experiment_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
"""

REFUSE_OTHER_ARMS = """
DO $$
DECLARE other text;
BEGIN
    SELECT string_agg(DISTINCT experiment.experiment_name, ', ') INTO other
    FROM ab_experiment_arms arm JOIN ab_experiments experiment ON experiment.id = arm.experiment_id
    WHERE arm.name NOT IN ('a', 'b');
    IF other IS NOT NULL THEN
        RAISE EXCEPTION 'A/B tests have arms that the schema 0018 has no place for: %. It knows a and b only. Go back with a backup from before them.', other;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table('ab_experiment_arms',
    sa.Column('experiment_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('name', sa.String(length=32), nullable=False),
    sa.Column('position', sa.SmallInteger(), nullable=False),
    sa.Column('model_id', sa.Integer(), nullable=False),
    sa.Column('share', sa.Float(), nullable=False),
    sa.Column('dropped_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('drop_cause', sa.String(length=20), nullable=True),
    sa.Column('drop_reason', sa.Text(), nullable=True),
    sa.Column('left_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['experiment_id'], ['ab_experiments.id'], name=op.f('fk_ab_experiment_arms_experiment_id_ab_experiments')),
    sa.ForeignKeyConstraint(['model_id'], ['model_registry.id'], name=op.f('fk_ab_experiment_arms_model_id_model_registry')),
    sa.PrimaryKeyConstraint('experiment_id', 'name', name=op.f('pk_ab_experiment_arms')),
    sa.UniqueConstraint('experiment_id', 'position', name='uq_ab_experiment_arms_experiment_id_position')
    )
    op.create_index(op.f('ix_ab_experiment_arms_model_id'), 'ab_experiment_arms', ['model_id'])
    op.execute(BACKFILL)
    op.execute(KEEP_ARMS)
    op.execute(
        "CREATE TRIGGER keep_ab_experiment_arm BEFORE UPDATE OR DELETE ON ab_experiment_arms "
        "FOR EACH ROW EXECUTE FUNCTION keep_ab_experiment_arm()"
    )
    for table, column in NAMED_COLUMNS:
        op.alter_column(table, column, type_=sa.String(length=32), existing_type=sa.String(length=10))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(REFUSE_OTHER_ARMS)
    for table, column in NAMED_COLUMNS:
        op.alter_column(table, column, type_=sa.String(length=10), existing_type=sa.String(length=32))
    op.drop_table('ab_experiment_arms')
    op.execute("DROP FUNCTION keep_ab_experiment_arm()")
