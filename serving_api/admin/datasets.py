"""Dataset versions over HTTP."""

from typing import Annotated

from fastapi import Depends

from contracts.access import ResourceKind, Visibility
from contracts.datasets import DatasetVersion
from contracts.enums import DatasetStatus
from contracts.lists import ListRequest, Page
from database.repositories.datasets import DatasetRepository
from serving_api.admin.lists import listed_by
from serving_api.admin.routers import admin_router
from serving_api.authentication import ServicesParameter
from serving_api.permissions import ListPermission, permit
from serving_api.problems import problem_responses

router = admin_router("datasets")


@router.get("/training/datasets")
def list_datasets(
    services: ServicesParameter,
    visible: Annotated[Visibility, Depends(ListPermission(ResourceKind.DATASET))],
    listing: Annotated[ListRequest, listed_by(DatasetRepository.SORTED_BY)],
    status: DatasetStatus | None = None,
    name: str | None = None,
) -> Page[DatasetVersion]:
    """Dataset versions."""
    with services.unit_of_work() as uow:
        return uow.datasets.page(listing, visible, status=status, name=name)


@router.get(
    "/training/datasets/{dataset_id}",
    dependencies=[permit(ResourceKind.DATASET, "read", by="dataset_id")],
    responses=problem_responses(404),
)
def get_dataset(services: ServicesParameter, dataset_id: int) -> DatasetVersion:
    """One dataset version."""
    with services.unit_of_work() as uow:
        return uow.datasets.get(dataset_id)
