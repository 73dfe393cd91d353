"""Dataset versions over HTTP: what there is of them, their checks, and other cuts of them."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi import Path as PathParameter
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from contracts.access import NOTHING, ResourceKind, Visibility
from contracts.dataset_versions import LoggedCommit, VersionDifference
from contracts.datasets import DatasetVersion, ListedDataset, QualityReport, QualityRequest
from contracts.enums import DatasetStatus, LineageKind
from contracts.errors import ForbiddenError, NotFoundError
from contracts.lineage import LineageGraph
from contracts.lists import ListRequest, Page
from contracts.record import JsonObject, Record
from database.repositories.datasets import DatasetRepository
from serving_api.admin.lists import listed_by
from serving_api.admin.routers import admin_router
from serving_api.apart import done_apart
from serving_api.authentication import Caller, ServicesParameter
from serving_api.idempotency import OnceParameter
from serving_api.permissions import ListPermission, decisions_of, permit
from serving_api.problems import problem_responses
from stages import permissions
from stages.lineage import trace, without_hidden
from stages.services import Services

router = admin_router("datasets")

DatasetId = Annotated[int, PathParameter(description="`dataset_id` of the version.")]
Ratio = Annotated[float, Query(ge=0, le=1)]
_OWNED = {
    LineageKind.DATASET: ResourceKind.DATASET,
    LineageKind.JOB: ResourceKind.JOB,
    LineageKind.MODEL: ResourceKind.MODEL,
}


class Checking(Record):
    """What a version is held against."""

    min_samples: int = Field(default=20, ge=1, lt=2**31)
    """Rows of its train side."""
    min_quality_score: float = Field(default=0.7, ge=0, le=1)


@router.get("/training/datasets")
def list_datasets(
    services: ServicesParameter,
    visible: Annotated[Visibility, Depends(ListPermission(ResourceKind.DATASET))],
    listing: Annotated[ListRequest, listed_by(DatasetRepository.SORTED_BY)],
    status: DatasetStatus | None = None,
    name: str | None = None,
) -> Page[ListedDataset]:
    """Dataset versions."""
    with services.unit_of_work() as uow:
        return uow.datasets.page(listing, visible, status=status, name=name)


@router.get(
    "/training/datasets/{dataset_id}",
    dependencies=[permit(ResourceKind.DATASET, "read", by="dataset_id")],
    responses=problem_responses(404),
)
def get_dataset(services: ServicesParameter, dataset_id: DatasetId) -> ListedDataset:
    """One dataset version."""
    with services.unit_of_work() as uow:
        return uow.datasets.listed(dataset_id)


@router.get(
    "/training/datasets/{dataset_id}/stats",
    dependencies=[permit(ResourceKind.DATASET, "read", by="dataset_id")],
    responses=problem_responses(404),
)
def get_statistics(services: ServicesParameter, dataset_id: DatasetId) -> JsonObject:
    """Lengths, turns, tokens, words, categories, sources, scores and masking of a version."""
    with services.unit_of_work() as uow:
        found = uow.datasets.statistics(dataset_id).get("statistics")
    if not isinstance(found, dict) or not found:
        raise NotFoundError("The version has no statistics", value=dataset_id, next_step="prepare the dataset again")
    return found


@router.post(
    "/training/datasets/{dataset_id}/validate",
    dependencies=[permit(ResourceKind.DATASET, "validate", by="dataset_id")],
    responses=problem_responses(404),
)
def validate_dataset(
    services: ServicesParameter, caller: Caller, dataset_id: DatasetId, checking: Checking | None = None
) -> QualityReport:
    """Check the version's files for personal data, copies, quality, balance and size. Answers when it has: minutes for a million rows."""
    _require_files(dataset_id, services)
    request = QualityRequest(dataset_id=dataset_id, **(checking or Checking()).model_dump())
    return done_apart(
        "validate", {"actor": caller.username, "request": request.model_dump(mode="json")}, QualityReport, services
    )


@router.post(
    "/training/datasets/{dataset_id}/split",
    dependencies=[permit(ResourceKind.DATASET, "split", by="dataset_id")],
    responses=problem_responses(404, 409),
)
def split_dataset(
    services: ServicesParameter,
    caller: Caller,
    once: OnceParameter,
    dataset_id: DatasetId,
    train_ratio: Ratio = 0.8,
    val_ratio: Ratio = 0.1,
    test_ratio: Ratio = 0.1,
) -> DatasetVersion:
    """The version's rows in other ratios, each category in its share: a new version. The same again is the same version."""
    _require_files(dataset_id, services)
    wanted: JsonObject = {
        "dataset_id": dataset_id,
        "actor": caller.username,
        "ratios": [train_ratio, val_ratio, test_ratio],
    }
    return once(DatasetVersion, lambda: done_apart("split", wanted, DatasetVersion, services))


@router.get(
    "/training/datasets/{dataset_id}/versions",
    dependencies=[permit(ResourceKind.DATASET, "read", by="dataset_id")],
    responses=problem_responses(404),
)
def list_versions(
    services: ServicesParameter,
    visible: Annotated[Visibility, Depends(ListPermission(ResourceKind.DATASET))],
    listing: Annotated[ListRequest, listed_by(DatasetRepository.SORTED_BY)],
    dataset_id: DatasetId,
) -> Page[ListedDataset]:
    """All versions of the dataset that this one is a version of."""
    with services.unit_of_work() as uow:
        return uow.datasets.page(listing, visible, name=uow.datasets.get(dataset_id).name)


@router.get(
    "/training/datasets/{dataset_id}/history",
    dependencies=[permit(ResourceKind.DATASET, "read", by="dataset_id")],
    responses=problem_responses(404),
)
def get_history(services: ServicesParameter, dataset_id: DatasetId) -> list[LoggedCommit]:
    """The version and what it was made from, newest first, with branches and tags."""
    # pyarrow comes with it, which the service that answers users does not load before it is needed
    from stages.dataset_versions import log_versions

    return log_versions(str(dataset_id), services)


@router.get(
    "/training/datasets/{dataset_id}/diff/{other_id}",
    dependencies=[
        permit(ResourceKind.DATASET, "read", by="dataset_id"),
        permit(ResourceKind.DATASET, "read", by="other_id"),
    ],
    responses=problem_responses(404),
)
def compare_datasets(
    services: ServicesParameter,
    dataset_id: DatasetId,
    other_id: Annotated[int, PathParameter(description="`dataset_id` of the later version.")],
    rows: Annotated[int, Query(ge=0, le=200, description="Rows of each kind that are shown whole.")] = 20,
) -> VersionDifference:
    """Rows added, removed and changed from one version of a dataset to another."""
    for given in (dataset_id, other_id):
        _require_files(given, services)
    return done_apart("diff", {"before": dataset_id, "after": other_id, "rows": rows}, VersionDifference, services)


@router.get(
    "/training/datasets/{dataset_id}/lineage",
    dependencies=[permit(ResourceKind.DATASET, "read", by="dataset_id")],
    responses=problem_responses(404),
)
async def get_lineage(
    request: Request, services: ServicesParameter, caller: Caller, dataset_id: DatasetId
) -> LineageGraph:
    """What the version was made from, and what came of it, as far as the caller may see it."""
    visible = dict.fromkeys(_OWNED, NOTHING)
    for node, kind in _OWNED.items():
        with suppress(ForbiddenError):  # a key's scopes leave this kind out
            visible[node] = await permissions.visible(caller, kind, decisions=decisions_of(request))

    def seen() -> LineageGraph:
        graph = trace(f"dataset:{dataset_id}", services)
        with services.unit_of_work() as uow:
            return without_hidden(
                graph,
                {
                    node: uow.ownership.visible_among(
                        kind, [int(one.key) for one in graph.nodes if one.kind is node], visible[node]
                    )
                    for node, kind in _OWNED.items()
                },
            )

    return await run_in_threadpool(seen)


def _require_files(dataset_id: int, services: Services) -> None:
    """Before a process is started for it. Raises NotFoundError."""
    with services.unit_of_work() as uow:
        version = uow.datasets.get(dataset_id)
    if not Path(version.file_path).is_dir():
        raise NotFoundError(
            "The version's files are not there",
            value=f"{version.name} {version.version}",
            next_step="restore them from a backup, or prepare the dataset again",
        )
