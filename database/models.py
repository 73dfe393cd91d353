"""Tables. The customer's columns first, in the customer's order; ours after them."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE, JSONB, ExcludeConstraint
from sqlalchemy.dialects.postgresql.ranges import MultiRange
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Naming conventions, so that every constraint can be named in a migration."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: JSONB, list[Any]: JSONB, datetime: DateTime(timezone=True)}


def _created() -> Mapped[datetime]:
    return mapped_column(DateTime(timezone=True), server_default=func.now(), nullable=False)


class User(Base):
    """A person or program that acts."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(255), unique=True)
    role: Mapped[str] = mapped_column(String(50), server_default="viewer")
    created_at: Mapped[datetime] = _created()
    kind: Mapped[str] = mapped_column(String(20), server_default="person")
    projects: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    password_hash: Mapped[str | None] = mapped_column(String(200))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    failed_logins: Mapped[int] = mapped_column(server_default=text("0"))
    locked_until: Mapped[datetime | None]
    external_id: Mapped[str | None] = mapped_column(String(600), unique=True)
    """Issuer and subject at the site's OIDC provider."""


class RefreshTokenRow(Base):
    """A refresh token, by its hash. Those of one login are a family."""

    __tablename__ = "refresh_tokens"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    family: Mapped[str] = mapped_column(String(32), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = _created()
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class RevokedTokenRow(Base):
    """An access token (`jti`) or a session (`sid`) that is not good any more, until it would have ended by itself."""

    __tablename__ = "revoked_tokens"
    token_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ApiKeyRow(Base):
    """A service account's key, by its hash."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_created_at_prefix", "created_at", "prefix"),)
    prefix: Mapped[str] = mapped_column(String(12), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    key_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = _created()
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class RateLimitRow(Base):
    """How far an address has used up what it may ask (generic cell rate algorithm). Not worth a crash's log."""

    __tablename__ = "rate_limits"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)
    bucket: Mapped[str] = mapped_column(String(200), primary_key=True)
    arrival: Mapped[float]


class TrainingDataset(Base):
    """A dataset version."""

    __tablename__ = "training_datasets"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        UniqueConstraint("name", "content_hash"),
        Index("ix_training_datasets_created_at_id", "created_at", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    version: Mapped[str] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(Text)
    format: Mapped[str] = mapped_column(String(50), server_default="parquet")
    file_path: Mapped[str] = mapped_column(Text)
    total_samples: Mapped[int | None]
    train_samples: Mapped[int | None]
    val_samples: Mapped[int | None]
    test_samples: Mapped[int | None]
    statistics: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'::jsonb"))
    quality_score: Mapped[float | None] = mapped_column(Float)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = _created()
    status: Mapped[str] = mapped_column(String(50), server_default="active")
    content_hash: Mapped[str] = mapped_column(String(64))
    removed: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    masked: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    categories: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))


class DatasetLineage(Base):
    """What a dataset version was made from."""

    __tablename__ = "dataset_lineage"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("training_datasets.id"), index=True)
    parent_dataset_id: Mapped[int | None] = mapped_column(ForeignKey("training_datasets.id"))
    source_path: Mapped[str | None] = mapped_column(Text)
    source_sha256: Mapped[str | None] = mapped_column(String(64))
    rows: Mapped[int | None]
    created_at: Mapped[datetime] = _created()


class DatasetQualityLog(Base):
    """One check of a dataset version."""

    __tablename__ = "dataset_quality_logs"
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("training_datasets.id"), index=True)
    check_type: Mapped[str] = mapped_column(String(100))
    passed: Mapped[bool]
    issues: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    created_at: Mapped[datetime] = _created()


class FinetuningJob(Base):
    """A fine-tuning job."""

    __tablename__ = "finetuning_jobs"
    __table_args__ = (Index("ix_finetuning_jobs_created_at_id", "created_at", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    job_name: Mapped[str] = mapped_column(String(255), unique=True)
    base_model: Mapped[str] = mapped_column(String(255))
    dataset_id: Mapped[int] = mapped_column(ForeignKey("training_datasets.id"), index=True)
    method: Mapped[str] = mapped_column(String(50))
    hyperparameters: Mapped[dict[str, Any]]
    mlflow_run_id: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(50), server_default="pending", index=True)
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    output_dir: Mapped[str | None] = mapped_column(Text)
    checkpoint_dir: Mapped[str | None] = mapped_column(Text)
    logs_path: Mapped[str | None] = mapped_column(Text)
    gpu_ids: Mapped[str | None] = mapped_column(String(50))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = _created()
    base_model_path: Mapped[str] = mapped_column(Text)
    progress: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    report: Mapped[dict[str, Any] | None]
    request: Mapped[dict[str, Any] | None]
    dag_run_id: Mapped[str | None] = mapped_column(String(255))


class TrainingCheckpoint(Base):
    """A saved checkpoint."""

    __tablename__ = "training_checkpoints"
    __table_args__ = (UniqueConstraint("job_id", "checkpoint_name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("finetuning_jobs.id"), index=True)
    checkpoint_name: Mapped[str] = mapped_column(String(255))
    step: Mapped[int]
    epoch: Mapped[float | None] = mapped_column(Float)
    metrics: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    file_path: Mapped[str | None] = mapped_column(Text)
    file_size_gb: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[datetime] = _created()


class ModelEvaluation(Base):
    """An evaluation and the gate's verdict over it."""

    __tablename__ = "model_evaluations"
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("finetuning_jobs.id"), index=True)
    checkpoint_id: Mapped[int | None] = mapped_column(ForeignKey("training_checkpoints.id"))
    eval_dataset_id: Mapped[int | None] = mapped_column(ForeignKey("training_datasets.id"))
    metrics: Mapped[dict[str, Any]]
    test_cases: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    evaluated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    evaluator: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    content_key: Mapped[str] = mapped_column(String(128), unique=True)
    report: Mapped[dict[str, Any]]
    verdict: Mapped[dict[str, Any] | None]


class TestSuiteRow(Base):
    """A version of a test suite."""

    __test__ = False
    __tablename__ = "test_suites"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20), server_default="draft")
    content_hash: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(Text, server_default="")
    case_count: Mapped[int]
    categories: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = _created()
    locked_by: Mapped[str | None] = mapped_column(String(255))
    locked_at: Mapped[datetime | None]


class TestCaseRow(Base):
    """A case of a suite version."""

    __test__ = False
    __tablename__ = "test_suite_cases"
    suite_id: Mapped[int] = mapped_column(ForeignKey("test_suites.id"), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    position: Mapped[int]
    category: Mapped[str] = mapped_column(String(255))
    question: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]]
    edited_by: Mapped[str | None] = mapped_column(String(255))
    edited_at: Mapped[datetime | None]


class SuiteResultRow(Base):
    """What one model scored on one suite."""

    __tablename__ = "suite_results"
    __table_args__ = (Index("ix_suite_results_suite_name_model_id", "suite_name", "model_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    content_key: Mapped[str] = mapped_column(String(128), unique=True)
    suite_name: Mapped[str] = mapped_column(String(255))
    suite_version: Mapped[int | None]
    comparison_key: Mapped[str] = mapped_column(String(64), index=True)
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model_registry.id"), index=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("finetuning_jobs.id"), index=True)
    model_content_hash: Mapped[str] = mapped_column(String(64), index=True)
    score_name: Mapped[str] = mapped_column(String(100))
    score: Mapped[float] = mapped_column(Float)
    lower: Mapped[float | None] = mapped_column(Float)
    upper: Mapped[float | None] = mapped_column(Float)
    n: Mapped[int]
    report: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = _created()


class CaseScoreRow(Base):
    """One answer of a suite result."""

    __tablename__ = "case_scores"
    result_id: Mapped[int] = mapped_column(ForeignKey("suite_results.id"), primary_key=True)
    case_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    category: Mapped[str] = mapped_column(String(255))
    score: Mapped[float] = mapped_column(Float)
    correct: Mapped[bool]
    body: Mapped[dict[str, Any]]


class ExpertRatingRow(Base):
    """What an expert said of an answer, or of two answers side by side."""

    __tablename__ = "expert_ratings"
    __table_args__ = (UniqueConstraint("item_key", "rater"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    item_key: Mapped[str] = mapped_column(String(128), index=True)
    task: Mapped[str] = mapped_column(String(100), index=True)
    suite_name: Mapped[str] = mapped_column(String(255))
    case_id: Mapped[str] = mapped_column(String(255))
    category: Mapped[str] = mapped_column(String(255))
    rater: Mapped[str] = mapped_column(String(255))
    value: Mapped[str] = mapped_column(String(50))
    comment: Mapped[str] = mapped_column(Text, server_default="")
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    rated_at: Mapped[datetime] = _created()


class ContaminationReportRow(Base):
    """Overlap of a dataset version with a suite."""

    __tablename__ = "contamination_reports"
    __table_args__ = (UniqueConstraint("dataset_id", "suite_sha256", "settings_sha256"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("training_datasets.id"))
    suite_name: Mapped[str] = mapped_column(String(255))
    suite_sha256: Mapped[str] = mapped_column(String(64))
    settings_sha256: Mapped[str] = mapped_column(String(64))
    contaminated_cases: Mapped[int]
    report: Mapped[dict[str, Any]]
    override_reason: Mapped[str | None] = mapped_column(Text)
    override_by: Mapped[str | None] = mapped_column(String(255))
    override_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = _created()


class ModelPromotionRow(Base):
    """A change of the version in production."""

    __tablename__ = "model_promotions"
    id: Mapped[int] = mapped_column(primary_key=True)
    model_name: Mapped[str] = mapped_column(String(255), index=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model_registry.id"))
    previous_model_id: Mapped[int | None] = mapped_column(ForeignKey("model_registry.id"))
    kind: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    evaluation_id: Mapped[int | None] = mapped_column(ForeignKey("model_evaluations.id"))
    is_override: Mapped[bool] = mapped_column(server_default=text("false"))
    promoted_at: Mapped[datetime] = _created()


class RegisteredModel(Base):
    """A model version."""

    __tablename__ = "model_registry"
    __table_args__ = (
        UniqueConstraint("model_name", "version"),
        UniqueConstraint("model_name", "content_hash"),
        Index("ix_model_registry_created_at_id", "created_at", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    model_name: Mapped[str] = mapped_column(String(255))
    version: Mapped[str] = mapped_column(String(50))
    base_model: Mapped[str | None] = mapped_column(String(255))
    finetuning_job_id: Mapped[int | None] = mapped_column(ForeignKey("finetuning_jobs.id"), index=True)
    model_path: Mapped[str] = mapped_column(Text)
    model_format: Mapped[str] = mapped_column(String(50), server_default="huggingface")
    model_size_gb: Mapped[float | None] = mapped_column(Float)
    status: Mapped[str] = mapped_column(String(50), server_default="staging", index=True)
    deployment_config: Mapped[dict[str, Any] | None]
    mlflow_model_uri: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = _created()
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    base_model_path: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))


Index(
    "uq_model_registry_one_production",
    RegisteredModel.model_name,
    unique=True,
    postgresql_where=RegisteredModel.status == "production",
)


class ModelDeploymentRow(Base):
    """A deployment of a model version; at most one of a version that is not over."""

    __tablename__ = "model_deployments"
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model_registry.id"), index=True)
    arm: Mapped[str] = mapped_column(String(1))
    state: Mapped[str] = mapped_column(String(20))
    config: Mapped[dict[str, Any]]
    server_key: Mapped[str] = mapped_column(String(100), index=True)
    served_model_name: Mapped[str] = mapped_column(String(255))
    base_url: Mapped[str | None] = mapped_column(Text)
    backend: Mapped[str | None] = mapped_column(String(20))
    failure: Mapped[dict[str, Any] | None]
    planned_at: Mapped[datetime] = _created()
    changed_at: Mapped[datetime] = _created()


Index(
    "uq_model_deployments_one_live",
    ModelDeploymentRow.model_id,
    unique=True,
    postgresql_where=ModelDeploymentRow.state.not_in(["stopped", "failed"]),
)


class DeploymentTransitionRow(Base):
    """A deployment went from one state to the next."""

    __tablename__ = "model_deployment_transitions"
    id: Mapped[int] = mapped_column(primary_key=True)
    deployment_id: Mapped[int] = mapped_column(ForeignKey("model_deployments.id"), index=True)
    from_state: Mapped[str | None] = mapped_column(String(20))
    to_state: Mapped[str] = mapped_column(String(20))
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    at: Mapped[datetime] = _created()


class ParityCertificateRow(Base):
    """What was trained and what is served, compared."""

    __tablename__ = "parity_certificates"
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model_registry.id"), index=True)
    deployment_id: Mapped[int | None] = mapped_column(ForeignKey("model_deployments.id"))
    passed: Mapped[bool]
    engine: Mapped[str] = mapped_column(String(100))
    certificate: Mapped[dict[str, Any]]
    checked_at: Mapped[datetime] = _created()


class ModelBenchmark(Base):
    """A score of a model version."""

    __tablename__ = "model_benchmarks"
    __table_args__ = (UniqueConstraint("model_id", "benchmark_name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model_registry.id"))
    benchmark_name: Mapped[str] = mapped_column(String(255))
    score: Mapped[float | None] = mapped_column(Float)
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    benchmark_date: Mapped[datetime] = mapped_column(server_default=func.now())


class ABExperimentRow(Base):
    """An A/B test."""

    __tablename__ = "ab_experiments"
    __table_args__ = (
        # a user belongs to one running test at most
        ExcludeConstraint(("buckets", "&&"), name="ex_ab_experiments_buckets", where=text("status = 'running'")),
        Index("ix_ab_experiments_start_date_id", "start_date", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    experiment_name: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    model_a_id: Mapped[int] = mapped_column(ForeignKey("model_registry.id"))
    model_b_id: Mapped[int] = mapped_column(ForeignKey("model_registry.id"))
    traffic_split: Mapped[dict[str, Any]] = mapped_column(server_default=text('\'{"a": 0.5, "b": 0.5}\'::jsonb'))
    status: Mapped[str] = mapped_column(String(50), server_default="running")
    start_date: Mapped[datetime] = mapped_column(server_default=func.now())
    end_date: Mapped[datetime | None]
    target_samples: Mapped[int] = mapped_column(server_default="200")
    success_metric: Mapped[str] = mapped_column(String(100), server_default="user_rating")
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    plan: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    traffic: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    buckets: Mapped[MultiRange[int]] = mapped_column(
        INT4MULTIRANGE, server_default=text("'{[0,1000)}'::int4multirange")
    )
    arms: Mapped[list["ABExperimentArmRow"]] = relationship(order_by="ABExperimentArmRow.position", lazy="selectin")
    """The control first."""


class ABExperimentArmRow(Base):
    """An arm of an A/B test. A trigger of PostgreSQL refuses to change what was planned, and to take back a drop."""

    __tablename__ = "ab_experiment_arms"
    __table_args__ = (
        UniqueConstraint("experiment_id", "position", name="uq_ab_experiment_arms_experiment_id_position"),
    )
    experiment_id: Mapped[int] = mapped_column(ForeignKey("ab_experiments.id"), primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger)
    model_id: Mapped[int] = mapped_column(ForeignKey("model_registry.id"), index=True)
    share: Mapped[float] = mapped_column(Float)
    dropped_at: Mapped[datetime | None]
    drop_cause: Mapped[str | None] = mapped_column(String(20))
    drop_reason: Mapped[str | None] = mapped_column(Text)
    left_at: Mapped[datetime | None]
    """It has lost, and what becomes of its deployment is settled."""


class ABTestAssignment(Base):
    """The arm a user keeps for the length of an experiment."""

    __tablename__ = "ab_test_assignments"
    experiment_id: Mapped[int] = mapped_column(ForeignKey("ab_experiments.id"), primary_key=True)
    user_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    variant: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = _created()


class ABTestLog(Base):
    """A question to the router, how it ended, and the rating of its answer."""

    __tablename__ = "ab_test_logs"
    __table_args__ = (Index("ix_ab_test_logs_experiment_id_variant", "experiment_id", "variant"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("ab_experiments.id"))
    user_id: Mapped[int | None] = mapped_column(Integer)
    session_id: Mapped[str | None] = mapped_column(String(255))
    variant: Mapped[str | None] = mapped_column(String(32))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model_registry.id"))
    query: Mapped[str | None] = mapped_column(Text)
    response: Mapped[str | None] = mapped_column(Text)
    response_time_ms: Mapped[int | None]
    user_rating: Mapped[int | None]
    user_feedback: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = _created()
    user_key: Mapped[str | None] = mapped_column(String(255))
    request_id: Mapped[str] = mapped_column(String(64), unique=True)
    assigned_variant: Mapped[str | None] = mapped_column(String(32))
    status: Mapped[str | None] = mapped_column(String(20))
    exposure: Mapped[str | None] = mapped_column(String(20))
    first_token_ms: Mapped[int | None]
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    table_version: Mapped[str | None] = mapped_column(String(32))


class ABTestResult(Base):
    """A computed state of an A/B test, one row an arm."""

    __tablename__ = "ab_test_results"
    id: Mapped[int] = mapped_column(primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("ab_experiments.id"), index=True)
    variant: Mapped[str] = mapped_column(String(32))
    total_samples: Mapped[int | None]
    avg_rating: Mapped[float | None] = mapped_column(Float)
    avg_response_time_ms: Mapped[float | None] = mapped_column(Float)
    confidence_interval: Mapped[dict[str, Any] | None]
    statistical_significance: Mapped[bool | None]
    winner: Mapped[bool | None]
    calculated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ABExperimentStateRow(Base):
    """What the monitor knows of an A/B test between two looks."""

    __tablename__ = "ab_experiment_states"
    experiment_id: Mapped[int] = mapped_column(ForeignKey("ab_experiments.id"), primary_key=True, autoincrement=False)
    looks: Mapped[int]
    state: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ABExperimentDecisionRow(Base):
    """The end of an A/B test. A trigger of PostgreSQL refuses to change what was decided or answered."""

    __tablename__ = "ab_experiment_decisions"
    experiment_id: Mapped[int] = mapped_column(ForeignKey("ab_experiments.id"), primary_key=True, autoincrement=False)
    decision: Mapped[dict[str, Any]]
    decided_at: Mapped[datetime] = mapped_column(server_default=func.now())
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    obstacle: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    carried_out_at: Mapped[datetime | None]
    loser_left_at: Mapped[datetime | None]


class ABTestReplayRow(Base):
    """The same questions put to both models of an A/B test. A trigger of PostgreSQL refuses to change plan and result."""

    __tablename__ = "ab_test_replays"
    __table_args__ = (UniqueConstraint("experiment_id", "number", name="uq_ab_test_replays_experiment_id_number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("ab_experiments.id"))
    number: Mapped[int]
    plan: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = _created()
    finished_at: Mapped[datetime | None]


class NotificationRow(Base):
    """Something that people are told; written with what it tells of, delivered afterwards."""

    __tablename__ = "notifications"
    __table_args__ = (UniqueConstraint("subject", "event", name="uq_notifications_subject_event"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    subject: Mapped[str] = mapped_column(String(500))
    event: Mapped[str] = mapped_column(String(100))
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = _created()
    delivered: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_error: Mapped[str | None] = mapped_column(Text)
    done_at: Mapped[datetime | None]


class GpuLease(Base):
    """Which card belongs to whom. The pool says how many, this says which."""

    __tablename__ = "gpu_leases"
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    gpu_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(String(500))
    acquired_at: Mapped[datetime] = _created()
    kind: Mapped[str] = mapped_column(String(20), server_default="training")
    heartbeat_at: Mapped[datetime] = _created()


class PipelineRunRow(Base):
    """A run of a pipeline DAG."""

    __tablename__ = "pipeline_runs"
    __table_args__ = (Index("ix_pipeline_runs_started_at_run_id", "started_at", "run_id"),)
    run_id: Mapped[str] = mapped_column(String(250), primary_key=True)
    dag_id: Mapped[str] = mapped_column(String(250))
    request: Mapped[dict[str, Any]]
    started_at: Mapped[datetime] = _created()
    finished_at: Mapped[datetime | None]


class PipelineStageRow(Base):
    """One stage of a run."""

    __tablename__ = "pipeline_stages"
    run_id: Mapped[str] = mapped_column(ForeignKey("pipeline_runs.run_id"), primary_key=True)
    stage: Mapped[str] = mapped_column(String(50), primary_key=True)
    status: Mapped[str] = mapped_column(String(50))
    record: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class SampleReviewRow(Base):
    """A generated sample and what a person said of it."""

    __tablename__ = "sample_reviews"
    __table_args__ = (
        UniqueConstraint("generation_id", "sample_id"),
        Index("ix_sample_reviews_generation_id_position", "generation_id", "position"),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    generation_id: Mapped[str] = mapped_column(String(128))
    dataset_name: Mapped[str] = mapped_column(String(255))
    sample_id: Mapped[str] = mapped_column(String(64))
    position: Mapped[int]
    template: Mapped[str] = mapped_column(String(50))
    document: Mapped[str] = mapped_column(Text)
    grounding: Mapped[float] = mapped_column(Float)
    quality: Mapped[float] = mapped_column(Float)
    messages: Mapped[list[Any]]
    sample_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB)
    passage: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str | None] = mapped_column(String(20))
    edited_messages: Mapped[list[Any] | None]
    note: Mapped[str | None] = mapped_column(Text)
    reviewer: Mapped[str | None] = mapped_column(String(255))
    reviewed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = _created()


class AuditLog(Base):
    """Who did what: an entry of the chain.

    Only `entry` is ever given; PostgreSQL fills the rest from it, and refuses every change.
    """

    __tablename__ = "audit_logs"
    __table_args__ = (
        UniqueConstraint("event_id"),
        Index("ix_audit_logs_at", "at"),
        Index("ix_audit_logs_actor_id", "actor", "id"),
        Index("ix_audit_logs_subject_id", "subject", "id"),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]
    event_id: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(Text)
    purpose: Mapped[str | None] = mapped_column(Text)
    result: Mapped[str] = mapped_column(Text)
    entry: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[bytes]
    hash: Mapped[bytes]


class AuditCheckpoint(Base):
    """Up to where old entries of the chain were taken away, signed."""

    __tablename__ = "audit_checkpoints"
    through_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    through_hash: Mapped[bytes]
    signed_head: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = _created()


class IdempotencyKey(Base):
    """A call that starts something, by the key that its caller gave it."""

    __tablename__ = "idempotency_keys"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), index=True)
