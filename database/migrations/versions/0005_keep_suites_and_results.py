"""Keep suites, results, ratings, contamination reports and promotions; one version in production a name."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table('expert_ratings',
    sa.Column('id', sa.BigInteger(), nullable=False),
    sa.Column('item_key', sa.String(length=128), nullable=False),
    sa.Column('task', sa.String(length=100), nullable=False),
    sa.Column('suite_name', sa.String(length=255), nullable=False),
    sa.Column('case_id', sa.String(length=255), nullable=False),
    sa.Column('category', sa.String(length=255), nullable=False),
    sa.Column('rater', sa.String(length=255), nullable=False),
    sa.Column('value', sa.String(length=50), nullable=False),
    sa.Column('comment', sa.Text(), server_default='', nullable=False),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('rated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_expert_ratings')),
    sa.UniqueConstraint('item_key', 'rater', name=op.f('uq_expert_ratings_item_key_rater'))
    )
    op.create_index(op.f('ix_expert_ratings_item_key'), 'expert_ratings', ['item_key'], unique=False)
    op.create_index(op.f('ix_expert_ratings_task'), 'expert_ratings', ['task'], unique=False)
    op.create_table('test_suites',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('status', sa.String(length=20), server_default='draft', nullable=False),
    sa.Column('content_hash', sa.String(length=64), nullable=False),
    sa.Column('description', sa.Text(), server_default='', nullable=False),
    sa.Column('case_count', sa.Integer(), nullable=False),
    sa.Column('categories', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('settings', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('locked_by', sa.String(length=255), nullable=True),
    sa.Column('locked_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_test_suites')),
    sa.UniqueConstraint('name', 'version', name=op.f('uq_test_suites_name_version'))
    )
    op.create_table('test_suite_cases',
    sa.Column('suite_id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.String(length=255), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('category', sa.String(length=255), nullable=False),
    sa.Column('question', sa.Text(), nullable=False),
    sa.Column('body', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('edited_by', sa.String(length=255), nullable=True),
    sa.Column('edited_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['suite_id'], ['test_suites.id'], name=op.f('fk_test_suite_cases_suite_id_test_suites')),
    sa.PrimaryKeyConstraint('suite_id', 'case_id', name=op.f('pk_test_suite_cases'))
    )
    op.create_table('contamination_reports',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('dataset_id', sa.Integer(), nullable=False),
    sa.Column('suite_name', sa.String(length=255), nullable=False),
    sa.Column('suite_sha256', sa.String(length=64), nullable=False),
    sa.Column('settings_sha256', sa.String(length=64), nullable=False),
    sa.Column('contaminated_cases', sa.Integer(), nullable=False),
    sa.Column('report', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('override_reason', sa.Text(), nullable=True),
    sa.Column('override_by', sa.String(length=255), nullable=True),
    sa.Column('override_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['training_datasets.id'], name=op.f('fk_contamination_reports_dataset_id_training_datasets')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_contamination_reports')),
    sa.UniqueConstraint('dataset_id', 'suite_sha256', 'settings_sha256', name=op.f('uq_contamination_reports_dataset_id_suite_sha256_settings_sha256'))
    )
    op.create_table('suite_results',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('content_key', sa.String(length=128), nullable=False),
    sa.Column('suite_name', sa.String(length=255), nullable=False),
    sa.Column('suite_version', sa.Integer(), nullable=True),
    sa.Column('comparison_key', sa.String(length=64), nullable=False),
    sa.Column('model_id', sa.Integer(), nullable=True),
    sa.Column('job_id', sa.Integer(), nullable=True),
    sa.Column('model_content_hash', sa.String(length=64), nullable=False),
    sa.Column('score_name', sa.String(length=100), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('lower', sa.Float(), nullable=True),
    sa.Column('upper', sa.Float(), nullable=True),
    sa.Column('n', sa.Integer(), nullable=False),
    sa.Column('report', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['finetuning_jobs.id'], name=op.f('fk_suite_results_job_id_finetuning_jobs')),
    sa.ForeignKeyConstraint(['model_id'], ['model_registry.id'], name=op.f('fk_suite_results_model_id_model_registry')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_suite_results')),
    sa.UniqueConstraint('content_key', name=op.f('uq_suite_results_content_key'))
    )
    op.create_index(op.f('ix_suite_results_comparison_key'), 'suite_results', ['comparison_key'], unique=False)
    op.create_index(op.f('ix_suite_results_job_id'), 'suite_results', ['job_id'], unique=False)
    op.create_index(op.f('ix_suite_results_model_content_hash'), 'suite_results', ['model_content_hash'], unique=False)
    op.create_index(op.f('ix_suite_results_model_id'), 'suite_results', ['model_id'], unique=False)
    op.create_index('ix_suite_results_suite_name_model_id', 'suite_results', ['suite_name', 'model_id'], unique=False)
    op.create_table('case_scores',
    sa.Column('result_id', sa.Integer(), nullable=False),
    sa.Column('case_id', sa.String(length=255), nullable=False),
    sa.Column('category', sa.String(length=255), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('correct', sa.Boolean(), nullable=False),
    sa.Column('body', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.ForeignKeyConstraint(['result_id'], ['suite_results.id'], name=op.f('fk_case_scores_result_id_suite_results')),
    sa.PrimaryKeyConstraint('result_id', 'case_id', name=op.f('pk_case_scores'))
    )
    op.create_table('model_promotions',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('model_name', sa.String(length=255), nullable=False),
    sa.Column('model_id', sa.Integer(), nullable=False),
    sa.Column('previous_model_id', sa.Integer(), nullable=True),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('actor', sa.String(length=255), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('evaluation_id', sa.Integer(), nullable=True),
    sa.Column('is_override', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('promoted_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['evaluation_id'], ['model_evaluations.id'], name=op.f('fk_model_promotions_evaluation_id_model_evaluations')),
    sa.ForeignKeyConstraint(['model_id'], ['model_registry.id'], name=op.f('fk_model_promotions_model_id_model_registry')),
    sa.ForeignKeyConstraint(['previous_model_id'], ['model_registry.id'], name=op.f('fk_model_promotions_previous_model_id_model_registry')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_model_promotions'))
    )
    op.create_index(op.f('ix_model_promotions_model_name'), 'model_promotions', ['model_name'], unique=False)
    # before the rule: the newest one stays
    op.execute(
        "UPDATE model_registry SET status = 'archived' WHERE status = 'production' AND id NOT IN "
        "(SELECT max(id) FROM model_registry WHERE status = 'production' GROUP BY model_name)"
    )
    op.create_index('uq_model_registry_one_production', 'model_registry', ['model_name'], unique=True, postgresql_where=sa.text("status = 'production'"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index('uq_model_registry_one_production', table_name='model_registry', postgresql_where=sa.text("status = 'production'"))
    op.drop_index(op.f('ix_model_promotions_model_name'), table_name='model_promotions')
    op.drop_table('model_promotions')
    op.drop_table('case_scores')
    op.drop_index('ix_suite_results_suite_name_model_id', table_name='suite_results')
    op.drop_index(op.f('ix_suite_results_model_id'), table_name='suite_results')
    op.drop_index(op.f('ix_suite_results_model_content_hash'), table_name='suite_results')
    op.drop_index(op.f('ix_suite_results_job_id'), table_name='suite_results')
    op.drop_index(op.f('ix_suite_results_comparison_key'), table_name='suite_results')
    op.drop_table('suite_results')
    op.drop_table('contamination_reports')
    op.drop_table('test_suite_cases')
    op.drop_table('test_suites')
    op.drop_index(op.f('ix_expert_ratings_task'), table_name='expert_ratings')
    op.drop_index(op.f('ix_expert_ratings_item_key'), table_name='expert_ratings')
    op.drop_table('expert_ratings')
