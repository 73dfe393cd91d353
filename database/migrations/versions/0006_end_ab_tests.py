"""Keep the plan, state and decision of A/B tests, and notifications until they are delivered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

KEEP_DECISIONS = """
CREATE FUNCTION keep_ab_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.experiment_id <> OLD.experiment_id OR NEW.decision <> OLD.decision
        OR NEW.decided_at <> OLD.decided_at OR (OLD.answer IS NOT NULL AND NEW.answer IS DISTINCT FROM OLD.answer)
        OR (OLD.carried_out_at IS NOT NULL AND NEW.carried_out_at IS DISTINCT FROM OLD.carried_out_at) THEN
        RAISE EXCEPTION 'the decision of A/B test % stands', OLD.experiment_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column('ab_experiments', sa.Column('plan', postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_table('ab_experiment_states',
    sa.Column('experiment_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('looks', sa.Integer(), nullable=False),
    sa.Column('state', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['experiment_id'], ['ab_experiments.id'], name=op.f('fk_ab_experiment_states_experiment_id_ab_experiments')),
    sa.PrimaryKeyConstraint('experiment_id', name=op.f('pk_ab_experiment_states'))
    )
    op.create_table('ab_experiment_decisions',
    sa.Column('experiment_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('decision', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('answer', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('obstacle', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('carried_out_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['experiment_id'], ['ab_experiments.id'], name=op.f('fk_ab_experiment_decisions_experiment_id_ab_experiments')),
    sa.PrimaryKeyConstraint('experiment_id', name=op.f('pk_ab_experiment_decisions'))
    )
    op.execute(KEEP_DECISIONS)
    op.execute(
        "CREATE TRIGGER keep_ab_decision BEFORE UPDATE OR DELETE ON ab_experiment_decisions "
        "FOR EACH ROW EXECUTE FUNCTION keep_ab_decision()"
    )
    op.create_table('notifications',
    sa.Column('id', sa.BigInteger(), nullable=False),
    sa.Column('subject', sa.String(length=500), nullable=False),
    sa.Column('event', sa.String(length=100), nullable=False),
    sa.Column('body', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('delivered', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notifications')),
    sa.UniqueConstraint('subject', 'event', name='uq_notifications_subject_event')
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table('notifications')
    op.drop_table('ab_experiment_decisions')
    op.execute("DROP FUNCTION keep_ab_decision()")
    op.drop_table('ab_experiment_states')
    op.drop_column('ab_experiments', 'plan')
