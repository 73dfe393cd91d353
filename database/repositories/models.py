"""Registered model versions, their deployment and their scores."""

from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import ARRAY, Text, cast, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.access import EVERYTHING, Visibility
from contracts.enums import ModelFormat, ModelStatus
from contracts.errors import NotFoundError
from contracts.lists import ListRequest, Page
from contracts.models import ArmEndpoint, ModelVersion
from contracts.record import JsonObject
from database.models import ModelBenchmark, RegisteredModel
from database.repositories.ownership import restricted
from database.repositories.paging import Column, read_page

BASE_VERSION = "base"


def model_version(row: RegisteredModel) -> ModelVersion:
    """The row's record."""
    return ModelVersion(
        model_id=row.id,
        model_name=row.model_name,
        version=row.version,
        base_model=row.base_model or row.model_name,
        base_model_path=row.base_model_path,
        finetuning_job_id=row.finetuning_job_id,
        model_path=row.model_path,
        model_format=ModelFormat(row.model_format),
        model_size_gb=row.model_size_gb or 0.0,
        status=ModelStatus(row.status),
        mlflow_model_uri=row.mlflow_model_uri,
        content_hash=row.content_hash,
    )


def lock_model_name(session: Session, model_name: str) -> None:
    """Until the transaction's end, nobody else adds a version under the name or moves one into production."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"model_registry:{model_name}"})


class ModelRepository:
    """Rows of model_registry and model_benchmarks."""

    SORTED_BY: ClassVar[dict[str, Column]] = {
        "created_at": RegisteredModel.created_at,
        "updated_at": RegisteredModel.updated_at,
        "model_name": RegisteredModel.model_name,
        "status": RegisteredModel.status,
        "model_size_gb": func.coalesce(RegisteredModel.model_size_gb, 0.0),
    }

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock_catalogue(self, model_name: str) -> None:
        """Until the transaction's end, nobody else makes MLflow show what is here under the name."""
        self._session.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"model_catalogue:{model_name}"}
        )

    def ensure_base(self, base_model: str, base_model_path: str, size_gb: float, content_hash: str) -> ModelVersion:
        """The row of a base model as it is, so that it can be an arm of an A/B test."""
        return self.add(
            model_name=base_model,
            version=None,
            base_model=base_model,
            base_model_path=base_model_path,
            finetuning_job_id=None,
            model_path=base_model_path,
            model_format=ModelFormat.HUGGINGFACE,
            model_size_gb=size_gb,
            status=ModelStatus.STAGING,
            mlflow_model_uri=None,
            content_hash=content_hash,
            base=True,
        )

    def next_version(self, model_name: str) -> str:
        """`1` for a new name, then `2`, `3` and so on."""
        versions = self._session.execute(
            select(RegisteredModel.version).where(RegisteredModel.model_name == model_name)
        ).scalars()
        return str(max((int(version) for version in versions if version.isdigit()), default=0) + 1)

    def add(
        self,
        *,
        model_name: str,
        version: str | None,
        base_model: str,
        base_model_path: str,
        finetuning_job_id: int | None,
        model_path: str,
        model_format: ModelFormat,
        model_size_gb: float,
        status: ModelStatus,
        mlflow_model_uri: str | None,
        content_hash: str,
        description: str | None = None,
        tags: list[str] | None = None,
        base: bool = False,
    ) -> ModelVersion:
        """Add a version (None: the next number); the same name and content again is the row that is there."""
        lock_model_name(self._session, model_name)
        present = self.find_by_content(model_name, content_hash)
        if present is not None:
            return present
        if version is None:
            taken = self._session.execute(
                select(RegisteredModel.id).where(
                    RegisteredModel.model_name == model_name, RegisteredModel.version == BASE_VERSION
                )
            ).scalar_one_or_none()
            # the files of a base model changed under the same name: a second base row names its content
            version = (
                (f"{BASE_VERSION}-{content_hash[:8]}" if taken else BASE_VERSION)
                if base
                else self.next_version(model_name)
            )
        row = RegisteredModel(
            model_name=model_name,
            version=version,
            base_model=base_model,
            base_model_path=base_model_path,
            finetuning_job_id=finetuning_job_id,
            model_path=model_path,
            model_format=model_format.value,
            model_size_gb=model_size_gb,
            status=status.value,
            mlflow_model_uri=mlflow_model_uri,
            content_hash=content_hash,
            description=description,
            tags=tags or [],
        )
        self._session.add(row)
        self._session.flush()
        return model_version(row)

    def find_by_content(self, model_name: str, content_hash: str) -> ModelVersion | None:
        """The version of that name with exactly this content."""
        row = self._session.execute(
            select(RegisteredModel).where(
                RegisteredModel.model_name == model_name, RegisteredModel.content_hash == content_hash
            )
        ).scalar_one_or_none()
        return None if row is None else model_version(row)

    def _row(self, model_id: int) -> RegisteredModel:
        row = self._session.get(RegisteredModel, model_id)
        if row is None:
            raise NotFoundError("There is no such model version", value=model_id)
        return row

    def get(self, model_id: int) -> ModelVersion:
        """The version. Raises NotFoundError."""
        return model_version(self._row(model_id))

    def of_name(self, model_name: str) -> list[ModelVersion]:
        """The versions of a name, oldest first; base models too."""
        query = select(RegisteredModel).where(RegisteredModel.model_name == model_name).order_by(RegisteredModel.id)
        return [model_version(row) for row in self._session.execute(query).scalars()]

    def names(self) -> list[str]:
        """Every name that has a version, in alphabetical order."""
        query = select(RegisteredModel.model_name).distinct().order_by(RegisteredModel.model_name)
        return list(self._session.execute(query).scalars())

    def find_for_job(self, job_id: int) -> ModelVersion | None:
        """The newest version made by that job."""
        row = self._session.execute(
            select(RegisteredModel)
            .where(RegisteredModel.finetuning_job_id == job_id)
            .order_by(RegisteredModel.id.desc())
            .limit(1)
        ).scalar_one_or_none()
        return None if row is None else model_version(row)

    def production(self, model_name: str) -> ModelVersion | None:
        """The version now in production under that name."""
        row = self._session.execute(
            select(RegisteredModel)
            .where(RegisteredModel.model_name == model_name, RegisteredModel.status == ModelStatus.PRODUCTION.value)
            .order_by(RegisteredModel.id.desc())
            .limit(1)
        ).scalar_one_or_none()
        return None if row is None else model_version(row)

    def newest(
        self, status: ModelStatus | None = None, limit: int = 100, visible: Visibility = EVERYTHING
    ) -> list[ModelVersion]:
        """Versions, newest first, as far as they may be seen."""
        query = restricted(select(RegisteredModel), RegisteredModel.created_by, visible)
        query = query.order_by(RegisteredModel.id.desc()).limit(limit)
        if status is not None:
            query = query.where(RegisteredModel.status == status.value)
        return [model_version(row) for row in self._session.execute(query).scalars()]

    def page(
        self,
        listing: ListRequest,
        visible: Visibility,
        *,
        status: ModelStatus | None = None,
        model_name: str | None = None,
        tags: Sequence[str] = (),
    ) -> Page[ModelVersion]:
        """The versions of that status and name that have all of the tags, as far as they may be seen."""
        query = restricted(select(RegisteredModel), RegisteredModel.created_by, visible)
        if status is not None:
            query = query.where(RegisteredModel.status == status.value)
        if model_name is not None:
            query = query.where(RegisteredModel.model_name == model_name)
        if tags:
            query = query.where(RegisteredModel.tags.op("@>")(cast(list(tags), ARRAY(Text))))
        return read_page(self._session, query, listing, self.SORTED_BY, RegisteredModel.id, model_version)

    def description(self, model_id: int) -> str:
        """What its registrar said of the version."""
        return self._row(model_id).description or ""

    def tags(self, model_id: int) -> list[str]:
        """Words given to the version when it was registered."""
        return list(self._row(model_id).tags)

    def is_base(self, model_id: int) -> bool:
        """A base model as it is: the row is there so that it can be an arm of an A/B test."""
        return self._row(model_id).version.startswith(BASE_VERSION)

    def set_status(self, model_id: int, status: ModelStatus) -> None:
        """Move the version to another stage."""
        self._row(model_id).status = status.value
        self._session.flush()

    def set_mlflow_uri(self, model_id: int, uri: str) -> None:
        """Where MLflow's registry has the version."""
        self._row(model_id).mlflow_model_uri = uri
        self._session.flush()

    def set_deployment(self, model_id: int, endpoint: ArmEndpoint | None) -> None:
        """Where the version answers; None when it no longer does."""
        self._row(model_id).deployment_config = None if endpoint is None else endpoint.model_dump(mode="json")
        self._session.flush()

    def deployment(self, model_id: int) -> ArmEndpoint | None:
        """Where the version answers, if it does."""
        stored = self._row(model_id).deployment_config
        return None if stored is None else ArmEndpoint.model_validate(stored)

    def deployed(self) -> list[ArmEndpoint]:
        """Every version that answers."""
        rows = self._session.execute(
            select(RegisteredModel)
            .where(RegisteredModel.deployment_config["served_model_name"].astext.is_not(None))
            .order_by(RegisteredModel.id)
        ).scalars()
        return [ArmEndpoint.model_validate(row.deployment_config) for row in rows]

    def record_benchmark(self, model_id: int, benchmark_name: str, score: float, details: JsonObject) -> None:
        """Add or replace a score of that name."""
        values = {"score": score, "details": details}
        self._session.execute(
            insert(ModelBenchmark)
            .values(model_id=model_id, benchmark_name=benchmark_name, **values)
            .on_conflict_do_update(index_elements=["model_id", "benchmark_name"], set_=values)
        )
