"""Pipeline runs over HTTP."""

from typing import Annotated

from contracts.access import ResourceKind
from contracts.errors import NotFoundError
from contracts.lists import ListRequest, Page
from contracts.pipeline import PipelineRun
from database.repositories.pipeline_runs import PipelineRunRepository
from database.unit_of_work import UnitOfWork
from serving_api.admin.lists import listed_by
from serving_api.admin.routers import admin_router
from serving_api.authentication import ServicesParameter
from serving_api.permissions import permit
from serving_api.problems import problem_responses

router = admin_router("pipeline-runs")


@router.get("/pipeline-runs", dependencies=[permit(ResourceKind.PIPELINE_RUN, "read")])
def list_runs(
    services: ServicesParameter,
    listing: Annotated[ListRequest, listed_by(PipelineRunRepository.SORTED_BY, "-started_at")],
    dag_id: str | None = None,
) -> Page[PipelineRun]:
    """Pipeline runs."""
    with services.unit_of_work() as uow:
        return uow.pipeline_runs.page(listing, dag_id=dag_id)


@router.get(
    "/pipeline-runs/latest", dependencies=[permit(ResourceKind.PIPELINE_RUN, "read")], responses=problem_responses(404)
)
def get_latest_run(services: ServicesParameter) -> PipelineRun:
    """The newest pipeline run."""
    with services.unit_of_work() as uow:
        return _found(uow)


@router.get(
    "/pipeline-runs/{run_id:path}",
    dependencies=[permit(ResourceKind.PIPELINE_RUN, "read")],
    responses=problem_responses(404),
)
def get_run(services: ServicesParameter, run_id: str) -> PipelineRun:
    """One pipeline run with its stages."""
    with services.unit_of_work() as uow:
        return uow.pipeline_runs.get(run_id)


def _found(uow: UnitOfWork) -> PipelineRun:
    run = uow.pipeline_runs.latest()
    if run is None:
        raise NotFoundError(
            "There has been no pipeline run yet", next_step="start one: `tuneway pipeline trigger finetune_pipeline`"
        )
    return run
