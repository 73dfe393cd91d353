"""The last task of every DAG: closes the run's rows and makes the run's state honest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, TaskInstanceState
from airflow.sdk.exceptions import AirflowFailException

from contracts.enums import StageName, StageStatus
from contracts.errors import NotFoundError
from operators.run_records import RunRecords
from stages.services import open_services
from stages.tracing import open_tracer, spans_of_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from contracts.pipeline import PipelineRun
    from database.unit_of_work import UnitOfWork
    from stages.services import Services
    from stages.span_export import Tracer

FAILED_STATES = {TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED}


class FinishRunOperator(BaseOperator):
    """Runs whatever happened before it, and fails when something has failed.

    A teardown task, because Airflow runs those even when a person marks the whole run as failed. It decides the
    run's state alone (`on_failure_fail_dagrun`): a run of which one task was marked failed by hand and whose others
    were skipped would end green otherwise.
    """

    ui_color = "#f3e8fd"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.as_teardown(on_failure_fail_dagrun=True)

    def execute(self, context: Context) -> None:
        """Close every stage's row, then the run's."""
        run = RunRecords.of(context)
        task_instance = context["ti"]
        states: dict[str, str | None] = task_instance.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(
            run.run_id, {}
        )
        stages = stages_of_tasks(context["dag"].tasks)
        services, has_row = open_services(), True
        with services.unit_of_work() as uow:
            try:
                row = uow.pipeline_runs.get(run.pipeline_run_id)
            except NotFoundError:
                self.log.info("This run has no row: its request was refused")
                has_row = False
            else:
                close_stages(uow, row, stages, states)
                uow.pipeline_runs.finish(run.pipeline_run_id)
        if has_row and (tracer := open_tracer(services.settings, "airflow")) is not None:
            trace_run(run.pipeline_run_id, services, tracer)
        failed = sorted(task_id for task_id, state in states.items() if state == TaskInstanceState.FAILED)
        if failed or any(state in FAILED_STATES for state in states.values()):
            raise AirflowFailException(f"The run failed at: {', '.join(failed)}. Their logs say why.")


def trace_run(run_id: str, services: Services, tracer: Tracer) -> None:
    """Tell of the run and its stages, whose rows are closed, as one trace."""
    with services.unit_of_work() as uow:
        row = uow.pipeline_runs.get(run_id)
    for span in spans_of_run(row):
        tracer.tell(span)
    tracer.flush()


def stages_of_tasks(tasks: list[Any]) -> dict[StageName, list[str]]:
    """The tasks that work on each stage, by the `stage` that an operator of ours carries."""
    stages: dict[StageName, list[str]] = {}
    for task in tasks:
        if isinstance(stage := getattr(task, "stage", None), StageName):
            stages.setdefault(stage, []).append(task.task_id)
    return stages


def close_stages(
    uow: UnitOfWork, row: PipelineRun, stages: Mapping[StageName, list[str]], states: Mapping[str, str | None]
) -> None:
    """No stage of a run that has ended is left `running`, and one that was never begun says that it was skipped."""
    rows = {state.stage: state for state in row.stages}
    for stage, task_ids in stages.items():
        ends = {states.get(task_id) for task_id in task_ids}
        if stage in rows and rows[stage].status is StageStatus.RUNNING:
            uow.pipeline_runs.stage_failed(row.run_id, stage, _interrupted(stage, ends))
        elif stage not in rows and ends <= {TaskInstanceState.SKIPPED}:
            uow.pipeline_runs.stage_skipped(row.run_id, stage)


def _interrupted(stage: StageName, ends: set[str | None]) -> dict[str, Any]:
    return {
        "code": "interrupted",
        "what": f"The stage {stage.value} was ended before it had its record",
        "value": f"its task is {'failed' if TaskInstanceState.FAILED in ends else 'skipped'}",
        "allowed": "",
        "next_step": "clear the task in Airflow to continue from its last checkpoint",
        "retryable": True,
    }
