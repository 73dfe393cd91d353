"""Dataset versions, and the story of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.datasets import DatasetVersion, QualityReport
from contracts.enums import StageName
from dashboard.reading.keeping import FRESH_SECONDS, LISTED, ask, kept
from dashboard.visits import Visit
from data_prep.versions.names import STATISTICS_FILE
from storage.files import read_json

if TYPE_CHECKING:
    from contracts.pipeline import PipelineRun
    from contracts.record import JsonObject
    from database.unit_of_work import UnitOfWork


@kept(FRESH_SECONDS)
def list_datasets(visit: Visit) -> list[DatasetVersion]:
    """Dataset versions, newest first."""
    seen = visit.visible(ResourceKind.DATASET)
    return ask(visit, lambda uow: uow.datasets.newest(limit=LISTED, visible=seen))


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
        return read_json(version_folder / STATISTICS_FILE)
    except (OSError, ValueError):
        return None


def _newest_checks(found: list[PipelineRun], dataset_id: int) -> QualityReport | None:
    for run in found:
        for stage in run.stages:
            if stage.stage is StageName.CHECK_QUALITY and stage.record is not None:
                report = QualityReport.model_validate(stage.record)
                if report.dataset_id == dataset_id:
                    return report
    return None
