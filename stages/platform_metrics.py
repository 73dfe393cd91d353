"""What Prometheus is told of this host and of the platform: cards, jobs, queue, leases, disk, A/B tests.

The router tells of its own (`serving_api/metrics.py`). Nothing here names a person, a dataset or what somebody asked.
"""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from contracts.enums import DeploymentState, ExperimentPolicy, JobState
from contracts.errors import UnavailableError
from contracts.record import utc_now
from stages.cards import card_readings
from storage.exposition import Readings
from storage.files import read_json
from storage.job_folder import JobFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.jobs import JobView
    from stages.services import Services

METRICS = {
    "tuneway_gpu_memory_used_bytes": "Memory of a card that is taken, by whomever.",
    "tuneway_gpu_memory_total_bytes": "Memory of a card.",
    "tuneway_gpu_busy_ratio": "Share of the last moments in which a card computed.",
    "tuneway_gpu_temperature_celsius": "Of a card.",
    "tuneway_gpu_power_watts": "Of a card.",
    "tuneway_cards": "Cards for jobs on this host; without GPUs, CPU workers standing for them.",
    "tuneway_jobs": "Jobs of this host's runner, by state.",
    "tuneway_jobs_waiting_seconds": "How long the job that waits longest has waited.",
    "tuneway_job_step": "Step that a running job has reached.",
    "tuneway_job_steps": "Steps that a running job will make.",
    "tuneway_job_loss": "Last training loss of a running job.",
    "tuneway_job_tokens_per_second": "Of a running training.",
    "tuneway_job_silence_seconds": "Since a running job last said where it is.",
    "tuneway_lease_age_seconds": "Since a card was taken, by card and kind of holder.",
    "tuneway_lease_silence_seconds": "Since a card's holder was last known to live.",
    "tuneway_disk_free_bytes": "Free on the disk of the data folder.",
    "tuneway_disk_reserve_bytes": "Below so many free bytes no new work is begun (TUNEWAY_MIN_FREE_DISK_GB).",
    "tuneway_database_up": "1 while PostgreSQL answers.",
    "tuneway_ab_tests_running": "A/B tests that run.",
    "tuneway_ab_tests_waiting_for_answer": "A/B tests that are decided and wait for a person's answer.",
    "tuneway_ab_tests_obstructed": "A/B tests whose decision could not be carried out yet.",
    "tuneway_deployments": "Deployments of model versions that are not over, by state.",
    "tuneway_audit_entries": "Place of the newest entry of the audit trail.",
}


def platform_metrics(services: Services, views: Sequence[JobView], *, host: str, cards: int) -> str:
    """All of it in Prometheus' text format. What cannot be read is left out; `tuneway_database_up` says so of PostgreSQL.

    `views`: jobs of this host's runner. `cards`: those that it may give away.
    """
    readings, now = Readings(METRICS), utc_now()
    readings.add("tuneway_cards", cards, host=host)
    for card in card_readings():
        readings.add("tuneway_gpu_memory_used_bytes", card.memory_used_bytes, gpu=card.index, host=host)
        readings.add("tuneway_gpu_memory_total_bytes", card.memory_bytes, gpu=card.index, host=host)
        if card.busy_ratio is not None:
            readings.add("tuneway_gpu_busy_ratio", card.busy_ratio, gpu=card.index, host=host)
        if card.temperature_celsius is not None:
            readings.add("tuneway_gpu_temperature_celsius", card.temperature_celsius, gpu=card.index, host=host)
        if card.power_watts is not None:
            readings.add("tuneway_gpu_power_watts", card.power_watts, gpu=card.index, host=host)
    _add_jobs(readings, services, views, now)
    disk = shutil.disk_usage(services.settings.data_dir)
    readings.add("tuneway_disk_free_bytes", disk.free, host=host)
    readings.add("tuneway_disk_reserve_bytes", services.settings.min_free_disk_gb * 1e9, host=host)
    try:
        _add_stored(readings, services, now)
    except UnavailableError:
        readings.add("tuneway_database_up", 0)
    else:
        readings.add("tuneway_database_up", 1)
    return readings.text()


def _add_jobs(readings: Readings, services: Services, views: Sequence[JobView], now: datetime) -> None:
    states = Counter(view.state for view in views)
    for state in JobState:
        readings.add("tuneway_jobs", states[state], state=state.value)
    readings.add("tuneway_jobs_waiting_seconds", _longest_wait(services, views, now))
    for view in views:
        progress = view.progress
        if view.state is not JobState.RUNNING or progress is None:
            continue
        readings.add("tuneway_job_step", progress.step, job_key=view.job_key)
        readings.add("tuneway_job_steps", progress.total_steps, job_key=view.job_key)
        readings.add("tuneway_job_silence_seconds", (now - progress.updated_at).total_seconds(), job_key=view.job_key)
        if progress.loss is not None:
            readings.add("tuneway_job_loss", progress.loss, job_key=view.job_key)
        if progress.tokens_per_second is not None:
            readings.add("tuneway_job_tokens_per_second", progress.tokens_per_second, job_key=view.job_key)


def _longest_wait(services: Services, views: Sequence[JobView], now: datetime) -> float:
    since = []
    for view in views:
        if view.state is JobState.QUEUED:
            folder = JobFolder(services.settings.jobs_dir / view.job_key)
            queued = read_json(folder.attempt(view.attempt).queued) or {}
            if "at" in queued:
                since.append(datetime.fromisoformat(str(queued["at"])))
    return max(((now - began).total_seconds() for began in since), default=0.0)


def _add_stored(readings: Readings, services: Services, now: datetime) -> None:
    with services.unit_of_work() as uow:
        leases = uow.leases.all()
        tests = uow.experiments.running()
        decisions = [(test, uow.experiment_decisions.get(test.experiment_id)) for test in tests]
        deployments = uow.deployments.live_states()
        head = uow.audit.head()
    for lease in leases:
        labels: dict[str, str | int] = {"gpu": lease.gpu_index, "host": lease.host, "holder": lease.kind.value}
        readings.add("tuneway_lease_age_seconds", (now - lease.acquired_at).total_seconds(), **labels)
        readings.add("tuneway_lease_silence_seconds", (now - lease.heartbeat_at).total_seconds(), **labels)
    pending = [(test, one) for test, one in decisions if one is not None and one.carried_out_at is None]
    asked = [one for test, one in pending if test.plan is not None and test.plan.policy is ExperimentPolicy.APPROVE]
    readings.add("tuneway_ab_tests_running", len(tests))
    readings.add("tuneway_ab_tests_waiting_for_answer", sum(one.answer is None for one in asked))
    readings.add("tuneway_ab_tests_obstructed", sum(one.obstacle is not None for _, one in pending))
    for state in DeploymentState:
        if not state.is_final:
            readings.add("tuneway_deployments", deployments.get(state, 0), state=state.value)
    readings.add("tuneway_audit_entries", head.id)
