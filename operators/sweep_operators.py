"""A sweep as Airflow tasks: the study made, one mapped task a trial, the report."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from contracts.enums import StageName, TrialState
from contracts.errors import UnavailableError
from contracts.sweeps import SweepRequest
from operators.failures import airflow_failures
from operators.run_records import RunRecords, services_for
from operators.runner_job_operator import RunnerJobOperator
from operators.runner_job_trigger import RunnerJobTrigger, retry_can_help
from operators.stage_journal import StageJournal
from stages.services import open_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from contracts.errors import TunewayError
    from contracts.jobs import JobSubmission, JobView
    from contracts.record import JsonObject
    from contracts.sweeps import SweepReport
    from stages.runner_client import AsyncRunnerClient
    from stages.services import Services
    from stages.tune_hyperparameters import TrialWatch

WATCH_SECONDS = 5.0
"""Between two looks at a trial's losses: short beside the time from one evaluation to the next."""


class StartSweepOperator(BaseOperator):
    """Makes the study and the sweep's run; its record is the list of the trials' slots."""

    ui_color = "#e8f0fe"
    stage = StageName.TUNE_HYPERPARAMETERS

    def execute(self, context: Context) -> list[int]:
        """The slots, from 0: the mapped tasks after this one take one each."""
        from stages.tune_hyperparameters import start_sweep

        with airflow_failures():
            services = services_for(context)
            run = RunRecords.of(context)
            journal = StageJournal(services, run.pipeline_run_id, self.stage)
            with journal.failures_recorded():
                journal.started()
                return start_sweep(run.request(SweepRequest), services)


class TrialOperator(RunnerJobOperator):
    """One trial: asks the study what to try when a GPU is free for it, trains it as an ordinary job.

    Whatever becomes of the trial, the task is green once the study knows it: trained, pruned, or given up after the
    last try. Killed and tried again, it finds its trial and its job by the slot.

    :param slot: number of the mapped task
    """

    def __init__(self, *, slot: int, **kwargs: Any) -> None:
        super().__init__(stage=StageName.TUNE_HYPERPARAMETERS, request=_sweep_request, **kwargs)
        self.slot = slot
        self._number = -1

    @contextmanager
    def _recorded(self, journal: StageJournal) -> Iterator[None]:
        """The stage's row is the sweep's, not a trial's."""
        del journal
        yield

    def _create_job(self, run: RunRecords, services: Services) -> JobSubmission | None:
        from stages.tune_hyperparameters import begin_trial

        trial = begin_trial(run.request(SweepRequest).sweep_name, self.slot, services)
        if trial is None:
            self.log.info("The sweep's time limit has passed: no trial is begun")
            return None
        self.log.info("Trial %d tries %s", trial.number, trial.values)
        if trial.has_ended:
            self.log.info("It has ended before")
            return None
        self._number = trial.number
        return trial.submission

    def _trigger(self, run: RunRecords, submission: JobSubmission, context: Context) -> RunnerJobTrigger:
        task_instance = context["ti"]
        return TrialTrigger(
            job_key=submission.job_key,
            attempt=submission.attempt,
            run_id=run.pipeline_run_id,
            stage=self.stage.value,
            sweep_name=run.request(SweepRequest).sweep_name,
            number=self._number,
            may_retry=task_instance.try_number <= (task_instance.max_tries or 0),
        )


class TrialTrigger(RunnerJobTrigger):
    """Follows a trial's job, tells the study its losses, and stops the job when the trial falls behind.

    :param may_retry: the task has a try left; without one, a trial whose job failed is given up
    """

    def __init__(self, *, sweep_name: str, number: int, may_retry: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sweep_name = sweep_name
        self.number = number
        self.may_retry = may_retry
        self._watch: TrialWatch | None = None
        self._looked_at = -WATCH_SECONDS

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Everything that makes the same trigger in another process."""
        path, values = super().serialize()
        return path, {
            **values,
            "sweep_name": self.sweep_name,
            "number": self.number,
            "may_retry": self.may_retry,
        }

    async def _seen(self, runner: AsyncRunnerClient, view: JobView) -> None:
        if time.monotonic() - self._looked_at < WATCH_SECONDS:
            return
        self._looked_at = time.monotonic()
        try:
            falls_behind = await asyncio.to_thread(self._falls_behind)
        except UnavailableError as error:
            self.log.warning("The study cannot be asked now; the trial trains on. %s", error)
            return
        if falls_behind:
            self.log.info("Trial %d has fallen behind: its job is stopped", self.number)
            await runner.stop(view.job_key, view.attempt)

    def _falls_behind(self) -> bool:
        from stages.tune_hyperparameters import TrialWatch

        if self._watch is None:
            self._watch = TrialWatch(self.sweep_name, self.number, self.job_key, open_services())
        return self._watch.should_prune()

    async def _ended(self, view: JobView) -> TunewayError | None:
        try:
            return await asyncio.to_thread(self._end)
        except UnavailableError as error:
            return error  # the job's files stay: the next try tells the study

    def _end(self) -> TunewayError | None:
        from stages.tune_hyperparameters import end_trial, give_up_trial

        services = open_services()
        error = end_trial(self.sweep_name, self.number, self.job_key, services)
        if error is None or (self.may_retry and retry_can_help(error)):
            return error
        give_up_trial(self.sweep_name, self.number, error.sentence(), services)
        return None

    async def _record_failure(self, error: JsonObject) -> None:
        """The stage's row is the sweep's, not a trial's."""


class FinishSweepOperator(BaseOperator):
    """Makes the best trial a recipe and says what was found, whatever became of single trials."""

    ui_color = "#e8f0fe"
    stage = StageName.TUNE_HYPERPARAMETERS

    def execute(self, context: Context) -> JsonObject:
        """The recipe's name and the report's lines; the lines also in the task log."""
        from stages.tune_hyperparameters import finish_sweep

        with airflow_failures():
            services = services_for(context)
            run = RunRecords.of(context)
            journal = StageJournal(services, run.pipeline_run_id, self.stage)
            with journal.failures_recorded():
                report = finish_sweep(run.request(SweepRequest).sweep_name, services)
                journal.succeeded(report)
        lines = sweep_lines(report)
        for line in lines:
            self.log.info("%s", line)
        return {"recipe": report.recipe_name, "best_trials": list(report.best), "report": list(lines)}


def _sweep_request(run: RunRecords) -> SweepRequest:
    return run.request(SweepRequest)


def sweep_lines(report: SweepReport) -> list[str]:
    """What came of a sweep, in Korean."""
    best = report.trials[report.best[0]]
    found = ", ".join(f"{metric.value} {value:.4g}" for metric, value in best.results.items())
    tried = ", ".join(f"{name} {value}" for name, value in best.values.items())
    lines = [
        f"시행 {len(report.trials)}회: 완료 {report.count(TrialState.COMPLETED)}, "
        f"조기 중단 {report.count(TrialState.PRUNED)}, 실패 {report.count(TrialState.FAILED)}",
        f"가장 좋은 시행: {best.number}번 ({found})",
        f"그 값: {tried}",
    ]
    if len(report.best) > 1:
        lines.append("서로 우열을 가릴 수 없는 시행: " + ", ".join(f"{number}번" for number in report.best))
    if report.importances:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in report.importances.items())
        lines.append(f"결과 차이를 설명하는 몫: {shares}")
    lines.append(f"레시피 {report.recipe_name}: {report.recipe_path}")
    return lines
