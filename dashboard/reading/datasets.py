"""Dataset versions, and the story of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.dataset_rows import FoundRows, RowFilter
from contracts.dataset_versions import LoggedCommit, VersionDifference
from contracts.datasets import DatasetVersion, QualityReport
from contracts.enums import LineageKind, StageName
from contracts.errors import NotFoundError, TunewayError
from contracts.lineage import LineageGraph
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.reading.models import readable_part
from dashboard.visits import Visit
from data_prep.versions.names import STATISTICS_FILE
from storage.stored_files import read_stored_json

if TYPE_CHECKING:
    from contracts.pipeline import PipelineRun
    from contracts.record import JsonObject
    from database.unit_of_work import UnitOfWork


DIFFERENCE_SECONDS = 600.0
"""Versions never change; the policies may."""
SHOWN_ROWS = 50


@kept(FRESH_SECONDS)
def list_datasets(visit: Visit) -> list[DatasetVersion]:
    """Dataset versions, newest first."""
    seen = visit.visible(ResourceKind.DATASET)
    return ask(visit, lambda uow: uow.datasets.newest(limit=LISTED, visible=seen))


@kept(FRESH_SECONDS)
def dataset_history(visit: Visit, dataset_id: int) -> list[LoggedCommit]:
    """All versions of this one's dataset that the reader may see, newest first; none where its files are not on this host.

    Raises NotFoundError, ForbiddenError.
    """
    visit.require(ResourceKind.DATASET, "read", dataset_id)
    # pyarrow comes with it
    from stages.dataset_versions import log_dataset

    name = ask(visit, lambda uow: uow.datasets.get(dataset_id)).name
    try:
        logged = log_dataset(name, visit)
    except NotFoundError:
        return []
    numbers = [commit.dataset_id for commit in logged if commit.dataset_id is not None]
    readable = visit.readable(ResourceKind.DATASET, numbers)
    return [commit for commit in logged if commit.dataset_id in readable]


@kept(DIFFERENCE_SECONDS)
def dataset_difference(visit: Visit, before: int, after: int) -> VersionDifference:
    """Rows added, removed and changed between two versions of a dataset: seconds for 100,000 rows.

    Raises NotFoundError, ForbiddenError, InvalidRequestError.
    """
    for dataset_id in (before, after):
        visit.require(ResourceKind.DATASET, "read", dataset_id)
    from stages.dataset_versions import compare_versions

    return compare_versions(str(before), str(after), visit, SHOWN_ROWS)


@kept(DIFFERENCE_SECONDS)
def dataset_rows(visit: Visit, dataset_id: int, wanted: RowFilter, first: int, rows: int) -> FoundRows:
    """A page of the version's rows that match. Raises NotFoundError, ForbiddenError."""
    visit.require(ResourceKind.DATASET, "read", dataset_id)
    # pyarrow comes with it
    from data_prep.versions.browsing import find_rows

    folder = Path(ask(visit, lambda uow: uow.datasets.get(dataset_id)).file_path)
    if not folder.is_dir():
        raise NotFoundError(
            "The version's files are not on this host",
            value=folder,
            next_step="look at the dashboard of the host that prepared it, or restore them from a backup",
        )
    return find_rows(folder, wanted, first=first, rows=rows)


@kept(FRESH_SECONDS)
def dataset_lineage(visit: Visit, dataset_id: int) -> LineageGraph | None:
    """What the version was made from and what came of it, as far as the reader may read it. Raises ForbiddenError."""
    visit.require(ResourceKind.DATASET, "read", dataset_id)
    graph = ask(visit, lambda uow: uow.lineage.around(LineageKind.DATASET, str(dataset_id)))
    return None if graph is None else readable_part(visit, graph)


@dataclass(frozen=True, slots=True)
class DatasetStory:
    """One dataset version with its statistics and newest checks."""

    dataset: DatasetVersion
    statistics: JsonObject | None
    """The version's own statistics file; None where this host does not see it."""
    made_by: JsonObject
    """The request and the steps that made the version."""
    checks: QualityReport | None


@kept(FRESH_SECONDS)
def dataset_story(visit: Visit, dataset_id: int) -> DatasetStory:
    """One dataset version. Raises NotFoundError, ForbiddenError."""
    visit.require(ResourceKind.DATASET, "read", dataset_id)

    def question(uow: UnitOfWork) -> DatasetStory:
        return DatasetStory(
            dataset=(dataset := uow.datasets.get(dataset_id)),
            statistics=_statistics(Path(dataset.file_path)),
            made_by=uow.datasets.statistics(dataset_id),
            checks=_newest_checks(uow.pipeline_runs.newest(LISTED), dataset_id),
        )

    return ask(visit, question)


def _statistics(version_folder: Path) -> JsonObject | None:
    try:
        return read_stored_json(version_folder / STATISTICS_FILE)
    except (OSError, ValueError, TunewayError):
        return None


def _newest_checks(found: list[PipelineRun], dataset_id: int) -> QualityReport | None:
    for run in found:
        for stage in run.stages:
            if stage.stage is StageName.CHECK_QUALITY and stage.record is not None:
                report = QualityReport.model_validate(stage.record)
                if report.dataset_id == dataset_id:
                    return report
    return None
