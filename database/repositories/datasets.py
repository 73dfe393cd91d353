"""Dataset versions, their lineage and their checks."""

from collections.abc import Mapping
from typing import ClassVar

from sqlalchemy import Select, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.access import EVERYTHING, Visibility
from contracts.datasets import DatasetVersion, ListedDataset, QualityCheck, SourceFile
from contracts.enums import DatasetStatus, Split
from contracts.errors import NotFoundError
from contracts.lists import ListRequest, Page
from contracts.record import JsonObject
from database.models import DatasetLineage, DatasetQualityLog, FinetuningJob, TrainingDataset, User
from database.repositories.ownership import restricted
from database.repositories.paging import Column, read_page


def _record(row: TrainingDataset) -> DatasetVersion:
    return DatasetVersion(
        dataset_id=row.id,
        name=row.name,
        version=row.version,
        content_hash=row.content_hash,
        file_path=row.file_path,
        total_samples=row.total_samples or 0,
        train_samples=row.train_samples or 0,
        val_samples=row.val_samples or 0,
        test_samples=row.test_samples or 0,
        removed=row.removed,
        masked=row.masked,
        quality_score=row.quality_score or 0.0,
        categories=row.categories,
    )


def _listed() -> Select[TrainingDataset, str | None]:
    return select(TrainingDataset, User.username).outerjoin(User, User.id == TrainingDataset.created_by)


def _listed_record(row: TrainingDataset, owner: str | None) -> ListedDataset:
    return ListedDataset(
        **_record(row).model_dump(),
        status=DatasetStatus(row.status),
        description=row.description,
        owner=owner,
        created_at=row.created_at,
    )


class DatasetRepository:
    """Rows of training_datasets."""

    SORTED_BY: ClassVar[dict[str, Column]] = {
        "created_at": TrainingDataset.created_at,
        "name": TrainingDataset.name,
        "total_samples": func.coalesce(TrainingDataset.total_samples, 0),
        "quality_score": func.coalesce(TrainingDataset.quality_score, 0.0),
    }

    def __init__(self, session: Session) -> None:
        self._session = session

    def find_by_content(self, name: str, content_hash: str) -> DatasetVersion | None:
        """The version of that name with exactly this content."""
        row = self._session.execute(
            select(TrainingDataset).where(TrainingDataset.name == name, TrainingDataset.content_hash == content_hash)
        ).scalar_one_or_none()
        return None if row is None else _record(row)

    def next_version(self, name: str) -> str:
        """`v1.0` for a new name, then `v1.1`, `v1.2` and so on."""
        versions = self._session.execute(select(TrainingDataset.version).where(TrainingDataset.name == name)).scalars()
        minors = [int(version.rpartition(".")[2]) for version in versions]
        return f"v1.{max(minors) + 1}" if minors else "v1.0"

    def add(
        self,
        *,
        name: str,
        content_hash: str,
        file_path: str,
        total_samples: int,
        train_samples: int,
        val_samples: int,
        test_samples: int,
        removed: dict[str, int],
        masked: dict[str, int],
        quality_score: float,
        categories: dict[str, int],
        metadata: JsonObject | None = None,
        sources: list[SourceFile] | None = None,
        parents: list[int] | None = None,
        description: str | None = None,
    ) -> DatasetVersion:
        """Add a version with the next number; the same name and content again is the row that is there."""
        # one writer a name at a time, so that two versions never take the same number
        self._session.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"training_datasets:{name}"}
        )
        present = self.find_by_content(name, content_hash)
        if present is not None:
            return present
        row = TrainingDataset(
            name=name,
            version=self.next_version(name),
            description=description,
            format="parquet",
            file_path=file_path,
            total_samples=total_samples,
            train_samples=train_samples,
            val_samples=val_samples,
            test_samples=test_samples,
            statistics=metadata or {},
            quality_score=quality_score,
            content_hash=content_hash,
            removed=dict(removed),
            masked=dict(masked),
            categories=dict(categories),
        )
        self._session.add(row)
        self._session.flush()
        for source in sources or []:
            self._session.add(
                DatasetLineage(
                    dataset_id=row.id, source_path=source.path, source_sha256=source.sha256, rows=source.rows
                )
            )
        for parent in parents or []:
            self._session.add(DatasetLineage(dataset_id=row.id, parent_dataset_id=parent))
        return _record(row)

    def of_name(self, name: str) -> list[DatasetVersion]:
        """The versions of a name, oldest first."""
        query = select(TrainingDataset).where(TrainingDataset.name == name).order_by(TrainingDataset.id)
        return [_record(row) for row in self._session.execute(query).scalars()]

    def needed_folders(self, name: str) -> list[str]:
        """Folders of versions that are not archived, or that a fine-tuning job was given."""
        used = select(FinetuningJob.dataset_id)
        query = select(TrainingDataset.file_path).where(
            TrainingDataset.name == name,
            or_(TrainingDataset.status != DatasetStatus.ARCHIVED.value, TrainingDataset.id.in_(used)),
        )
        return list(self._session.execute(query).scalars())

    def shrink(
        self, dataset_id: int, samples: Mapping[Split, int], categories: Mapping[str, int], statistics: JsonObject
    ) -> None:
        """The version has these rows from now on: some were erased."""
        row = self._session.get(TrainingDataset, dataset_id)
        if row is None:
            raise NotFoundError("There is no such dataset version", value=dataset_id)
        row.total_samples = sum(samples.values())
        row.train_samples = samples[Split.TRAIN]
        row.val_samples = samples[Split.VALIDATION]
        row.test_samples = samples[Split.TEST]
        row.categories = dict(categories)
        row.statistics = {**row.statistics, "statistics": statistics}

    def status(self, dataset_id: int) -> DatasetStatus:
        """In which part of its life the version is. Raises NotFoundError."""
        self.get(dataset_id)
        query = select(TrainingDataset.status).where(TrainingDataset.id == dataset_id)
        return DatasetStatus(self._session.execute(query).scalar_one())

    def set_status(self, dataset_id: int, status: DatasetStatus) -> None:
        """Say in which part of its life the version is. Raises NotFoundError."""
        row = self._session.get(TrainingDataset, dataset_id)
        if row is None:
            raise NotFoundError(
                "There is no such dataset version", value=dataset_id, next_step="see `tuneway dataset list`"
            )
        row.status = status.value

    def describe(self, dataset_id: int, description: str | None) -> None:
        """Say what the version is, where nobody has said it yet."""
        self._session.execute(
            update(TrainingDataset)
            .where(TrainingDataset.id == dataset_id, TrainingDataset.description.is_(None))
            .values(description=description)
        )

    def parents(self, dataset_id: int) -> list[int]:
        """The versions that a version was made from."""
        query = select(DatasetLineage.parent_dataset_id).where(
            DatasetLineage.dataset_id == dataset_id, DatasetLineage.parent_dataset_id.is_not(None)
        )
        return sorted({parent for parent in self._session.execute(query).scalars() if parent is not None})

    def source_paths(self, dataset_id: int) -> list[str]:
        """The files that the version was made from, each once."""
        query = select(DatasetLineage.source_path).where(
            DatasetLineage.dataset_id == dataset_id, DatasetLineage.source_path.is_not(None)
        )
        return sorted({path for path in self._session.execute(query).scalars() if path is not None})

    def get(self, dataset_id: int) -> DatasetVersion:
        """The version. Raises NotFoundError."""
        row = self._session.get(TrainingDataset, dataset_id)
        if row is None:
            raise NotFoundError(
                "There is no such dataset version",
                value=dataset_id,
                next_step="list them on the dashboard's first page",
            )
        return _record(row)

    def newest(
        self, limit: int = 20, visible: Visibility = EVERYTHING, *, status: DatasetStatus | None = None
    ) -> list[DatasetVersion]:
        """Versions of that status, newest first, as far as they may be seen."""
        query = restricted(select(TrainingDataset), TrainingDataset.created_by, visible)
        if status is not None:
            query = query.where(TrainingDataset.status == status.value)
        query = query.order_by(TrainingDataset.id.desc()).limit(limit)
        return [_record(row) for row in self._session.execute(query).scalars()]

    def page(
        self, listing: ListRequest, visible: Visibility, *, status: DatasetStatus | None = None, name: str | None = None
    ) -> Page[ListedDataset]:
        """The versions of that status and name, as far as they may be seen."""
        query = restricted(_listed(), TrainingDataset.created_by, visible)
        if status is not None:
            query = query.where(TrainingDataset.status == status.value)
        if name is not None:
            query = query.where(TrainingDataset.name == name)
        return read_page(self._session, query, listing, self.SORTED_BY, TrainingDataset.id, _listed_record)

    def listed(self, dataset_id: int) -> ListedDataset:
        """The version as lists show it. Raises NotFoundError."""
        found = self._session.execute(_listed().where(TrainingDataset.id == dataset_id)).one_or_none()
        if found is None:
            raise NotFoundError("There is no such dataset version", value=dataset_id)
        return _listed_record(*found)

    def statistics(self, dataset_id: int) -> JsonObject:
        """The version's stored statistics."""
        row = self._session.get(TrainingDataset, dataset_id)
        if row is None:
            raise NotFoundError("There is no such dataset version", value=dataset_id)
        return row.statistics

    def record_checks(self, dataset_id: int, checks: list[QualityCheck]) -> None:
        """Add a row a check; earlier ones stay as history."""
        if checks:
            self._session.execute(
                insert(DatasetQualityLog),
                [
                    {
                        "dataset_id": dataset_id,
                        "check_type": check.check_type.value,
                        "passed": check.passed,
                        "issues": check.issues,
                    }
                    for check in checks
                ],
            )
