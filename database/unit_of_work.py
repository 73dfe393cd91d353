"""One transaction with every repository on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache

from psycopg.errors import NumericValueOutOfRange, UndefinedColumn, UndefinedTable
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from contracts.errors import InvalidRequestError, SchemaMissingError, UnavailableError
from database.repositories.api_keys import ApiKeyRepository
from database.repositories.audit import AuditRepository
from database.repositories.certificates import CertificateRepository
from database.repositories.contamination import ContaminationRepository
from database.repositories.datasets import DatasetRepository
from database.repositories.deployments import DeploymentRepository
from database.repositories.evaluations import EvaluationRepository
from database.repositories.experiment_decisions import ExperimentDecisionRepository
from database.repositories.experiment_replays import ExperimentReplayRepository
from database.repositories.experiments import ExperimentRepository
from database.repositories.idempotency_keys import IdempotencyKeyRepository
from database.repositories.jobs import JobRepository
from database.repositories.judged_texts import JudgedTextRepository
from database.repositories.leases import LeaseRepository
from database.repositories.limits import LimitRepository
from database.repositories.lineage import LineageRepository
from database.repositories.model_listings import ModelListingRepository
from database.repositories.model_results import ModelResultRepository
from database.repositories.models import ModelRepository
from database.repositories.notifications import NotificationRepository
from database.repositories.ownership import OwnershipRepository
from database.repositories.pipeline_runs import PipelineRunRepository
from database.repositories.promotions import PromotionRepository
from database.repositories.ratings import RatingRepository
from database.repositories.recorded_texts import RecordedTextRepository
from database.repositories.reviews import ReviewRepository
from database.repositories.suite_results import SuiteResultRepository
from database.repositories.suites import SuiteRepository
from database.repositories.tokens import TokenRepository
from database.repositories.users import UserRepository


class UnitOfWork:
    """Repositories that share one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached_property
    def users(self) -> UserRepository:
        """People and programs."""
        return UserRepository(self.session)

    @cached_property
    def tokens(self) -> TokenRepository:
        """Refresh tokens, and access tokens that are not good any more."""
        return TokenRepository(self.session)

    @cached_property
    def api_keys(self) -> ApiKeyRepository:
        """Keys of service accounts."""
        return ApiKeyRepository(self.session)

    @cached_property
    def idempotency_keys(self) -> IdempotencyKeyRepository:
        """Calls that start something."""
        return IdempotencyKeyRepository(self.session)

    @cached_property
    def limits(self) -> LimitRepository:
        """Who asks how often."""
        return LimitRepository(self.session)

    @cached_property
    def ownership(self) -> OwnershipRepository:
        """Whose things are."""
        return OwnershipRepository(self.session)

    @cached_property
    def datasets(self) -> DatasetRepository:
        """Dataset versions."""
        return DatasetRepository(self.session)

    @cached_property
    def jobs(self) -> JobRepository:
        """Fine-tuning jobs."""
        return JobRepository(self.session)

    @cached_property
    def evaluations(self) -> EvaluationRepository:
        """Evaluations and verdicts."""
        return EvaluationRepository(self.session)

    @cached_property
    def contamination(self) -> ContaminationRepository:
        """Overlaps of training data with test suites."""
        return ContaminationRepository(self.session)

    @cached_property
    def models(self) -> ModelRepository:
        """Model versions."""
        return ModelRepository(self.session)

    @cached_property
    def deployments(self) -> DeploymentRepository:
        """Deployments of model versions and their states."""
        return DeploymentRepository(self.session)

    @cached_property
    def certificates(self) -> CertificateRepository:
        """Parity certificates of model versions."""
        return CertificateRepository(self.session)

    @cached_property
    def lineage(self) -> LineageRepository:
        """What was made of what."""
        return LineageRepository(self.session)

    @cached_property
    def model_listings(self) -> ModelListingRepository:
        """Model versions with their newest numbers."""
        return ModelListingRepository(self.session)

    @cached_property
    def model_results(self) -> ModelResultRepository:
        """What model versions scored on suites."""
        return ModelResultRepository(self.session)

    @cached_property
    def promotions(self) -> PromotionRepository:
        """Which version is in production, and since when."""
        return PromotionRepository(self.session)

    @cached_property
    def experiments(self) -> ExperimentRepository:
        """A/B tests."""
        return ExperimentRepository(self.session)

    @cached_property
    def judged_texts(self) -> JudgedTextRepository:
        """What test cases, models' answers to them and raters say."""
        return JudgedTextRepository(self.session)

    @cached_property
    def recorded_texts(self) -> RecordedTextRepository:
        """What people asked, were answered and wrote."""
        return RecordedTextRepository(self.session)

    @cached_property
    def experiment_decisions(self) -> ExperimentDecisionRepository:
        """Decisions of A/B tests."""
        return ExperimentDecisionRepository(self.session)

    @cached_property
    def experiment_replays(self) -> ExperimentReplayRepository:
        """Shadow replays of A/B tests."""
        return ExperimentReplayRepository(self.session)

    @cached_property
    def notifications(self) -> NotificationRepository:
        """What people are told."""
        return NotificationRepository(self.session)

    @cached_property
    def leases(self) -> LeaseRepository:
        """Cards and their holders."""
        return LeaseRepository(self.session)

    @cached_property
    def pipeline_runs(self) -> PipelineRunRepository:
        """Pipeline runs and their stages."""
        return PipelineRunRepository(self.session)

    @cached_property
    def reviews(self) -> ReviewRepository:
        """Generated samples and what people said of them."""
        return ReviewRepository(self.session)

    @cached_property
    def suite_results(self) -> SuiteResultRepository:
        """What models scored on suites."""
        return SuiteResultRepository(self.session)

    @cached_property
    def suites(self) -> SuiteRepository:
        """Test suites and their cases."""
        return SuiteRepository(self.session)

    @cached_property
    def ratings(self) -> RatingRepository:
        """What experts and judges said of answers."""
        return RatingRepository(self.session)

    @cached_property
    def audit(self) -> AuditRepository:
        """The audit trail."""
        return AuditRepository(self.session)


@lru_cache(maxsize=8)
def engine_for(url: str) -> Engine:
    """One small connection pool a process and URL; a connection that died is replaced before it is used."""
    return create_engine(url, pool_size=4, max_overflow=4, pool_pre_ping=True, connect_args={"connect_timeout": 5})


@lru_cache(maxsize=8)
def holding_engine_for(url: str) -> Engine:
    """The pool of transactions that stay open while others of the same thread come and go: they never wait for those."""
    return create_engine(url, pool_size=1, max_overflow=15, pool_pre_ping=True, connect_args={"connect_timeout": 5})


@contextmanager
def unit_of_work(url: str, *, holding: bool = False) -> Iterator[UnitOfWork]:
    """A transaction: committed at the end of the block, rolled back on an error.

    `holding`: other transactions begin and end within the block.

    Raises UnavailableError when PostgreSQL does not answer, SchemaMissingError when it lacks tables of this version,
    InvalidRequestError for a number that no row can have; nothing of the block is then stored.
    """
    engine = holding_engine_for(url) if holding else engine_for(url)
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield UnitOfWork(session)
    except OperationalError as error:
        raise UnavailableError(
            "PostgreSQL does not answer",
            value=str(error.orig).strip().splitlines()[0] if error.orig else None,
            next_step="look at it with `tuneway status`; the work can be repeated once it is back",
        ) from error
    except ProgrammingError as error:
        if not isinstance(error.orig, UndefinedTable | UndefinedColumn):
            raise
        raise SchemaMissingError(
            "The database has no tables of this version",
            value=str(error.orig).strip().splitlines()[0],
            next_step="run `tuneway up`, which brings the tables up to date",
        ) from error
    except DataError as error:
        if not isinstance(error.orig, NumericValueOutOfRange):
            raise
        raise InvalidRequestError(
            "A number is larger than any that the platform keeps",
            value=str(error.orig).strip().splitlines()[0],
            allowed="numbers of rows as the lists give them",
            next_step="correct the number",
        ) from error
