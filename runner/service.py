"""What the runner does: accept jobs, give them cards, start them, follow them, tell the database.

The job folders are the truth. Where several hosts share them, an attempt is the host's that has accepted it: any runner
shows it and takes a wish to stop it, only its own starts, follows and ends it, until its host falls silent
(runner/hosts.py). A pass over them brings the world in line with them: a queued job gets cards and a
launcher, a vanished one its exit.json, an ended one gives its cards back. A pass may be repeated, and the service may
die at any moment between two of its steps. Where PostgreSQL does not answer, a pass does what it can and the next one
does the rest.
"""

import logging
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from contracts.enums import JobState, JobStatus, LeaseKind, WaitReason
from contracts.errors import (
    CapacityError,
    ConflictError,
    InvalidDataError,
    InvalidRequestError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    TunewayError,
    UnavailableError,
)
from contracts.jobs import JobSubmission, JobView, QueuePlace
from contracts.leases import Lease
from contracts.nodes import NodePlan, WantedNodes
from contracts.record import JsonObject, utc_now
from contracts.training import JobProgress, TrainingReport
from runner.card_use import card_uses, expected_end, running_uses
from runner.hosts import OtherHosts
from runner.leases import SWEEP_SECONDS, orphans, restore_lease, sweep_leases
from runner.nodes import Nodes
from runner.queue import USAGE_WINDOW, CardUse, Holding, WaitingJob, decide, used_card_seconds
from stages.cards import card_readings, real_gpus
from stages.catalog import STAGES
from stages.launching import (
    acceptance,
    cards_in_use,
    is_of_host,
    job_cards,
    lease_kind,
    lease_owner,
    slots,
    start_launcher,
)
from stages.nodes import check_nodes
from stages.platform_metrics import platform_metrics
from stages.retention import prune
from stages.services import Services
from storage.files import read_json, write_json_atomically, write_json_once, write_text_atomically
from storage.job_folder import JobFolder
from storage.job_state import host_of, job_folders, job_view, read_submission
from storage.processes import attempt_mark, host_name, is_alive, kill_attempt
from training.checkpoints import checkpoint_names, checkpoint_records, go_back_to, remove_set_aside

PASS_SECONDS = 0.5
"""Progress is to reach the database at least each second."""
ACCEPT_SECONDS = 60.0
"""Between a host's taking an attempt and its being the job's newest lie milliseconds; more is a host that has died."""
START_SECONDS = 60.0
"""A launcher that has not written launcher.json by then, and is not running, never will."""
DATABASE_WARNING_SECONDS = 60.0
RETENTION_SECONDS = 3600.0
BYTES_PER_GB = 1_000_000_000

log = logging.getLogger("runner")


@dataclass
class _Followed:
    """What the service remembers of a job that is not settled. All of it can be lost."""

    folder: JobFolder
    submission: JobSubmission
    launcher: subprocess.Popen[bytes] | None = None
    mirrored_progress: JobProgress | None = None
    mirrored_run: str | None = None
    mirrored_checkpoints: frozenset[tuple[str, int]] | None = None
    marked_running: bool = False

    @property
    def lease_owner(self) -> str:
        """Holder of this attempt's cards."""
        return lease_owner(self.submission)


class RunnerService:
    """The jobs of one host."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._gpus = real_gpus()
        self._cards = job_cards(self._settings, self._gpus)
        self._host = host_name()
        self._others = OtherHosts(self._settings, self._host)
        self._lock = threading.RLock()
        self._followed: dict[str, _Followed] = {}
        self._database_warned_at = -DATABASE_WARNING_SECONDS
        self._swept_at = -SWEEP_SECONDS
        self._listened_at = -SWEEP_SECONDS
        self._retained_at = -RETENTION_SECONDS
        self._uses: list[CardUse] = []
        self._places: dict[str, QueuePlace] = {}
        self._nodes = Nodes(self._settings, self._host, self._gpus)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runner-pass", daemon=True)

    # The door

    def start(self) -> None:
        """Adopt what is there, then keep passing over it."""
        self._settings.jobs_dir.mkdir(parents=True, exist_ok=True)
        for folder in job_folders(self._settings.jobs_dir):
            self._adopt(folder)
            self._uses += card_uses(folder, host=self._host)
        self._thread.start()

    def close(self) -> None:
        """End the service. Jobs go on."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def submit(self, submission: JobSubmission) -> JobView:
        """Accept a job or a further attempt at it. The same attempt again changes nothing."""
        if submission.num_gpus > len(self._cards):
            raise InvalidRequestError(
                "The job asks for more GPUs than this host has for jobs",
                value=submission.num_gpus,
                allowed=f"1 to {len(self._cards)} (settings TUNEWAY_GPU_SLOTS, TUNEWAY_SERVING_GPUS)",
                next_step="submit it with a smaller num_gpus",
            )
        check_nodes(submission.num_nodes, submission.num_gpus, self._settings, leading=self._host)
        folder = self._folder(submission.job_key)
        with self._lock:
            try:
                present = read_submission(folder)
            except NotFoundError:
                present = None
            if present is not None:
                if not _asks_the_same(submission, present):
                    raise ConflictError(
                        "A job of this key exists with another request",
                        value=submission.job_key,
                        next_step="submit the new request under another key",
                    )
                if submission.attempt == present.attempt:
                    return self._with_place(job_view(folder))
                state = job_view(folder).state
                if submission.attempt < present.attempt:
                    raise ConflictError(
                        "A later attempt at this job exists",
                        value=f"attempt {submission.attempt}",
                        allowed=f"attempt {present.attempt} (it is {state}), or a higher one after its end",
                    )
                if not state.is_final:
                    raise ConflictError(
                        "The attempt before has not ended",
                        value=f"attempt {present.attempt} is {state}",
                        next_step=f"wait for it, or stop it: POST /jobs/{submission.job_key}/stop",
                    )
                if not self._settle(_Followed(folder, present)):
                    raise UnavailableError(
                        "The attempt before still holds its cards, because PostgreSQL does not answer",
                        value=submission.job_key,
                        next_step="submit it again in a moment",
                    )
            self._accept(folder, submission.attempt)
            if submission.resume_from is not None:
                go_back_to(folder, submission.resume_from, submission.attempt)
            write_json_atomically(folder.submission, submission.model_dump(mode="json"))
            self._followed[submission.job_key] = _Followed(folder, submission)
        log.info("accepted %s attempt %d", submission.job_key, submission.attempt)
        return self._with_place(job_view(folder))

    def _accept(self, folder: JobFolder, number: int) -> None:
        """The attempt is this host's. Raises ConflictError where another host was faster."""
        queued = folder.attempt(number).queued
        if write_json_once(queued, acceptance(self._settings)) or is_of_host(folder, number, self._host):
            return
        if time.time() - queued.stat().st_mtime < ACCEPT_SECONDS:
            raise ConflictError(
                "Another host is taking this attempt",
                value=f"{folder.root.name} attempt {number} on {host_of(folder, number)}",
                next_step="ask for the job again in a minute",
            )
        write_json_atomically(queued, acceptance(self._settings))  # that host died before it had written the rest

    def views(self) -> list[JobView]:
        """Every job, in the order of its key."""
        found = []
        for folder in job_folders(self._settings.jobs_dir):
            try:
                found.append(self._with_place(job_view(folder)))
            except InvalidDataError as error:
                log.warning("%s", error)
        return found

    def view(self, job_key: str) -> JobView:
        """One job. Raises NotFoundError."""
        return self._with_place(job_view(self._folder(job_key)))

    def _with_place(self, view: JobView) -> JobView:
        """With its place in the queue, while it is there."""
        place = self._places.get(view.job_key) if view.state is JobState.QUEUED else None
        return view if place is None else view.model_copy(update={"place": place})

    def folder(self, job_key: str) -> JobFolder:
        """The folder of a job that was submitted. Raises NotFoundError."""
        folder = self._folder(job_key)
        read_submission(folder)
        return folder

    def result(self, job_key: str) -> JsonObject:
        """The job's record. Raises NotFoundError while there is none."""
        record = read_json(self.folder(job_key).result)
        if record is None:
            raise NotFoundError(
                "The job has no result",
                value=f"{job_key} is {self.view(job_key).state}",
                next_step=f"wait for it, or read why: GET /jobs/{job_key}/log",
            )
        return record

    def stop(self, job_key: str, attempt: int) -> JobView:
        """Ask the attempt to end. Nothing happens to another attempt, or to one that has ended."""
        folder = self._folder(job_key)
        with self._lock:
            view = job_view(folder)
            if view.attempt != attempt:
                raise ConflictError(
                    "The job is at another attempt", value=f"attempt {attempt}", allowed=f"attempt {view.attempt}"
                )
            if view.state.is_final:
                return view
            write_text_atomically(folder.attempt(attempt).stop, utc_now().isoformat())
            followed = self._followed.get(job_key)
            is_here = is_of_host(folder, attempt, self._host)
            if is_here and view.state is JobState.QUEUED and (followed is None or followed.launcher is None):
                self._end(folder, attempt, JobState.STOPPED, JobFailedError("The job was stopped before it started"))
            return job_view(folder)

    def health(self) -> JsonObject:
        """What the service says about itself."""
        jobs = [(job_view(followed.folder).state, followed.submission) for followed in list(self._followed.values())]
        states = [state.value for state, _ in jobs]
        wanted = sum(submission.num_gpus for state, submission in jobs if not state.is_final)
        return {
            "status": "ok",
            "host": self._host,
            "gpus": self._gpus,
            "cards": [card.model_dump(mode="json") for card in card_readings()] if self._gpus else [],
            "slots": slots(self._settings, self._gpus),
            "slots_for_jobs": len(self._cards),
            "free_cards": max(0, len(self._cards) - wanted),
            "running": states.count(JobState.RUNNING.value),
            "queued": states.count(JobState.QUEUED.value),
        }

    def metrics(self) -> str:
        """For Prometheus."""
        views = [view for view in self.views() if view.host in {None, self._host}]
        return platform_metrics(self._services, views, host=self._host, cards=len(self._cards))

    # The pass

    def _run(self) -> None:
        while not self._ending.wait(PASS_SECONDS):
            self.make_pass()

    def make_pass(self) -> None:
        """Bring the world in line with the job folders, once."""
        if time.monotonic() - self._listened_at >= SWEEP_SECONDS:
            self._listened_at = time.monotonic()
            try:
                self._others.show_life()
                with self._lock:
                    for folder in self._others.give_up_silent():
                        self._adopt(folder)
            except Exception:  # as below
                log.exception("the other hosts could not be listened to, a later pass tries again")
        try:
            if time.monotonic() - self._swept_at >= SWEEP_SECONDS and self._reaches_database(self._sweep_leases):
                self._swept_at = time.monotonic()
        except Exception:  # as below
            log.exception("the leases' sweep failed, the next pass tries again")
        try:
            if self._nodes.has_others:
                self._reaches_database(self._look_for_parts)
        except Exception:  # as below
            log.exception("the look for parts of other hosts' jobs failed, the next pass tries again")
        if time.monotonic() - self._retained_at >= RETENTION_SECONDS and self._others.is_first():
            self._retained_at = time.monotonic()
            self._remove_set_aside()
            self._prune()
        with self._lock:
            followed_jobs = list(self._followed.values())
        waiting: list[_Followed] = []
        for followed in followed_jobs:
            try:
                with self._lock:
                    if self._advance(followed):
                        waiting.append(followed)
            except Exception:  # one job's fault must not end the service for the others
                log.exception("%s: this pass failed, the next one tries again", followed.submission.job_key)
        try:
            with self._lock:
                self._start_waiting(waiting)
        except Exception:  # as above
            log.exception("the queue's pass failed, the next one tries again")

    def _remove_set_aside(self) -> None:
        """Checkpoints that jobs went back behind, once they have lain aside for long enough."""
        for folder in job_folders(self._settings.jobs_dir):
            try:
                removed = remove_set_aside(folder.checkpoints, timedelta(days=self._settings.set_aside_days))
            except OSError as error:
                log.warning("%s: what was set aside stays for now: %s", folder.root.name, error)
                continue
            if removed:
                log.info("%s: removed what was set aside: %s", folder.root.name, ", ".join(removed))

    def _prune(self) -> None:
        """What the rules of retention let go."""
        try:
            report = prune(self._services, "runner")
        except (OSError, TunewayError) as error:
            log.warning("what may be removed stays for now: %s", error)
        else:
            if report.removed:
                log.info("removed %d things that nothing needs, %d bytes", len(report.removed), report.freed_bytes)

    def _advance(self, followed: _Followed) -> bool:
        """One step for one job. True while it waits for cards."""
        key, number = followed.submission.job_key, followed.submission.attempt
        if self._followed.get(key) is not followed:  # a further attempt was submitted since this pass began
            return False
        if self._is_taken_over(followed):
            # while this host was silent; the launcher does the same, where it lives
            log.warning("%s attempt %d was given up by another host", key, number)
            kill_attempt(attempt_mark(followed.folder.root, number))
            self._followed.pop(key, None)
            return False
        state = job_view(followed.folder).state
        if state is JobState.QUEUED:
            if followed.folder.attempt(number).stop.exists() and followed.launcher is None:
                self._end(
                    followed.folder, number, JobState.STOPPED, JobFailedError("The job was stopped before it started")
                )
                return False
            if followed.launcher is not None or self._launcher_holds_lock(followed):
                self._check_start(followed)
                return False
            return True
        if state is JobState.RUNNING:
            self._check_alive(followed)
            self._mirror_running(followed)
            return False
        self._mirror_running(followed)
        if self._settle(followed):
            self._followed.pop(followed.submission.job_key, None)
            self._uses += card_uses(followed.folder, followed.submission.attempt)
        return False

    def _is_taken_over(self, followed: _Followed) -> bool:
        """Another host has declared the attempt's end, or begun a later one."""
        number = followed.submission.attempt
        end = read_json(followed.folder.attempt(number).exit) or {}
        return job_view(followed.folder).attempt != number or end.get("declared_by") not in {None, self._host}

    # The queue

    def _start_waiting(self, waiting: list[_Followed]) -> None:
        """Start the jobs whose turn it is; the others learn their place."""
        # one that was stopped since this pass saw it, or is at a further attempt, waits no more
        by_key = {
            followed.submission.job_key: followed
            for followed in waiting
            if self._followed.get(followed.submission.job_key) is followed
            and job_view(followed.folder).state is JobState.QUEUED
        }
        holdings: list[Holding] = []

        def read() -> None:
            with self._services.unit_of_work() as uow:
                holdings.extend(self._holdings(uow.leases.of_host(self._host)))

        if not by_key or not self._reaches_database(read):
            self._places = {key: place for key, place in self._places.items() if key in by_key}
            return
        now = utc_now()
        running = [use for followed in self._followed.values() for use in running_uses(followed.folder)]
        self._uses = [use for use in self._uses if use.ended is None or now - use.ended < USAGE_WINDOW]
        decision = decide(
            [*(self._waiting_job(followed) for followed in by_key.values()), *self._nodes.wanted_here()],
            holdings,
            len(self._cards),
            used_card_seconds([*self._uses, *running], now),
            now,
        )
        self._places = decision.places
        for key in decision.start:
            if key not in by_key or self._start(by_key[key]):
                continue
            if by_key[key].submission.num_nodes == 1:
                return
            # its turn here, but not yet on the other hosts: its cards stay free in this pass
            self._places = {
                **self._places,
                key: QueuePlace(position=1, waiting=len(by_key), expected_start_at=None, reason=WaitReason.CARDS),
            }

    def _waiting_job(self, followed: _Followed) -> WaitingJob:
        submission = followed.submission
        queued = read_json(followed.folder.attempt(submission.attempt).queued) or {}
        return WaitingJob(
            key=submission.job_key,
            cards=submission.num_gpus,
            priority=submission.priority,
            project=submission.project,
            queued_at=datetime.fromisoformat(str(queued["at"])) if "at" in queued else utc_now(),
            expected_seconds=submission.expected_seconds,
        )

    def _holdings(self, leases: list[Lease]) -> list[Holding]:
        """Who has this host's cards, and until when. Cards that jobs never get do not count."""
        owners: dict[str, list[Lease]] = {}
        for lease in leases:
            if lease.gpu_index in self._cards:
                owners.setdefault(lease.owner, []).append(lease)
        return [
            Holding(
                cards=len(held),
                ends_at=expected_end(self._folder(owner.rpartition("#")[0])),
                is_serving=held[0].kind is LeaseKind.SERVING,
            )
            for owner, held in owners.items()
        ]

    def _start(self, followed: _Followed) -> bool:
        """Cards, disk, launcher. False while there are not enough cards free."""
        submission, folder = followed.submission, followed.folder
        shortage = self._disk_shortage()
        if shortage is not None:
            self._end(folder, submission.attempt, JobState.FAILED, shortage)
            return True
        if submission.num_nodes > 1:
            return self._start_on_nodes(followed)
        cards: list[int] | None = None

        def lease() -> None:
            nonlocal cards
            with self._services.unit_of_work() as uow:
                cards = uow.leases.acquire(
                    followed.lease_owner,
                    submission.num_gpus,
                    self._host,
                    slots(self._settings, self._gpus),
                    kind=lease_kind(submission),
                    never={*self._settings.serving_gpus, *cards_in_use(self._settings)},
                )

        if not self._reaches_database(lease) or cards is None:
            return False
        followed.launcher = start_launcher(self._settings, folder, submission, cards, self._gpus)
        log.info("started %s attempt %d on %s", submission.job_key, submission.attempt, cards)
        return True

    def _start_on_nodes(self, followed: _Followed) -> bool:
        """Cards on every host of the job, then the leading launcher. False while they are not free on all of them."""
        submission, folder = followed.submission, followed.folder
        first = self._nodes.first_wanted()
        if first is not None and first.job_key != submission.job_key:
            return False
        plan: NodePlan | None = None

        def lease() -> None:
            nonlocal plan
            plan = self._nodes.acquire(submission, self._services.unit_of_work)

        if not self._reaches_database(lease) or plan is None:
            return False
        write_json_atomically(folder.attempt(submission.attempt).nodes, plan.model_dump(mode="json"))
        followed.launcher = start_launcher(self._settings, folder, submission, plan.parts[0].cards, self._gpus)
        where = ", ".join(f"{part.host} {part.cards}" for part in plan.parts)
        log.info("started %s attempt %d on %s", submission.job_key, submission.attempt, where)
        return True

    def _wanted_nodes(self, leases: list[Lease]) -> list[WantedNodes]:
        """The jobs of this host that wait for several."""
        found = []
        with self._lock:
            jobs = [job for job in self._followed.values() if job.submission.num_nodes > 1 and job.launcher is None]
        for job in jobs:
            waiting = self._waiting_job(job)
            hosts = [host.host for host in self._nodes.hosts_for(job.submission, leases)]
            if job_view(job.folder).state is JobState.QUEUED and len(hosts) == job.submission.num_nodes:
                found.append(
                    WantedNodes(
                        job_key=waiting.key,
                        hosts=hosts,
                        cards=waiting.cards,
                        priority=waiting.priority,
                        project=waiting.project,
                        queued_at=waiting.queued_at,
                        expected_seconds=waiting.expected_seconds,
                    )
                )
        return found

    def _look_for_parts(self) -> None:
        with self._lock:
            followed = {job.lease_owner for job in self._followed.values()}
        with self._services.unit_of_work() as uow:
            self._nodes.look_for_parts(uow, followed)

    def _disk_shortage(self) -> CapacityError | None:
        free_gb = shutil.disk_usage(self._settings.jobs_dir).free / BYTES_PER_GB
        if free_gb >= self._settings.min_free_disk_gb:
            return None
        return CapacityError(
            "The disk is too full to start a job",
            value=f"{free_gb:.1f} GB free in {self._settings.jobs_dir}",
            allowed=f"at least {self._settings.min_free_disk_gb:g} GB (setting TUNEWAY_MIN_FREE_DISK_GB)",
            next_step="free some space, then start the job again",
        )

    def _launcher_holds_lock(self, followed: _Followed) -> bool:
        """A launcher of this attempt lives that has not said so yet: a runner before this one started it."""
        import fcntl

        path = followed.folder.attempt(followed.submission.attempt).root / "launcher.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _check_start(self, followed: _Followed) -> None:
        """A launcher that ended before it wrote anything has failed to start."""
        launcher, attempt = followed.launcher, followed.folder.attempt(followed.submission.attempt)
        if launcher is None or launcher.poll() is None or attempt.launcher.exists() or attempt.exit.exists():
            return
        if self._launcher_holds_lock(followed):  # ours gave way to one that a runner before this one started
            return
        self._end(
            followed.folder,
            followed.submission.attempt,
            JobState.LOST,
            JobLostError(
                "The job's launcher did not start",
                value=f"exit code {launcher.returncode}",
                next_step=f"see {attempt.log}",
            ),
        )

    def _check_alive(self, followed: _Followed) -> None:
        """A launcher that vanished leaves no exit.json: write it, after its processes are surely gone."""
        folder, number = followed.folder, followed.submission.attempt
        attempt = folder.attempt(number)
        if followed.launcher is not None:
            followed.launcher.poll()
        identity = read_json(attempt.launcher)
        if identity is None or is_alive(identity) or attempt.exit.exists():
            return
        mark = attempt_mark(folder.root, number)
        survivors = kill_attempt(mark)
        if survivors:
            log.warning("%s: ended the remaining processes %s", followed.submission.job_key, survivors)
            return  # the next pass sees them gone
        if folder.result.exists():
            self._end(folder, number, JobState.SUCCEEDED, None)
            return
        if attempt.stop.exists():
            self._end(folder, number, JobState.STOPPED, JobFailedError("The job was stopped on request"))
            return
        self._end(
            folder,
            number,
            JobState.LOST,
            JobLostError(
                "The job's processes vanished",
                value=f"launcher {identity.get('pid')}",
                next_step="start the job again: it resumes from its last checkpoint",
            ),
        )

    def _end(self, folder: JobFolder, attempt: int, state: JobState, error: TunewayError | None) -> None:
        log.info("%s attempt %d: %s", folder.root.name, attempt, error or state)
        write_json_once(
            folder.attempt(attempt).exit,
            {
                "state": state.value,
                "exit_code": 0 if state is JobState.SUCCEEDED else None,
                "finished_at": utc_now().isoformat(),
                "error": None if error is None else error.as_record(),
            },
        )

    # The database

    def _mirror_running(self, followed: _Followed) -> None:
        """Progress, run id and checkpoints into their rows, when they changed."""
        job_id = followed.submission.finetuning_job_id
        if job_id is None:
            return
        view = job_view(followed.folder)
        tracking = read_json(followed.folder.tracking) or {}
        run_id = str(tracking["run_id"]) if tracking.get("run_id") else None
        new_progress = view.progress if view.progress != followed.mirrored_progress else None
        new_run = run_id if run_id != followed.mirrored_run else None
        marks = not followed.marked_running and not view.state.is_final
        present = checkpoint_names(followed.folder.checkpoints)
        new_checkpoints = None
        if present != followed.mirrored_checkpoints:
            new_checkpoints = checkpoint_records(followed.folder.checkpoints)
        if new_progress is None and new_run is None and new_checkpoints is None and not marks:
            return

        def write() -> None:
            with self._services.unit_of_work() as uow:
                if marks:
                    uow.jobs.mark_running(job_id, view.gpu_ids)
                if new_progress is not None:
                    uow.jobs.record_progress(job_id, new_progress)
                if new_run is not None:
                    uow.jobs.set_mlflow_run(job_id, new_run)
                if new_checkpoints is not None:
                    uow.jobs.set_checkpoints(job_id, new_checkpoints)

        if self._reaches_database(write):
            followed.marked_running |= marks
            followed.mirrored_progress = view.progress
            followed.mirrored_run = run_id
            followed.mirrored_checkpoints = present

    def _settle(self, followed: _Followed) -> bool:
        """Free the cards of an ended attempt and record how it ended. True when nothing is left to do."""
        attempt = followed.folder.attempt(followed.submission.attempt)
        if attempt.settled.exists():
            return True
        view = job_view(followed.folder)
        job_id = followed.submission.finetuning_job_id
        record = None if job_id is None else read_json(followed.folder.result)

        def write() -> None:
            with self._services.unit_of_work() as uow:
                uow.leases.release(followed.lease_owner)
                if job_id is not None and view.state is not JobState.SUCCEEDED:
                    status = JobStatus.STOPPED if view.state is JobState.STOPPED else JobStatus.FAILED
                    uow.jobs.fail(job_id, status, view.error or {})
                elif job_id is not None and record is not None:
                    # the stage's `collect` does it again, with what MLflow lacks: somebody may have resumed the job
                    # outside of Airflow, and nobody collects it then
                    uow.jobs.complete(job_id, TrainingReport.model_validate(record))

        if not self._reaches_database(write):
            return False
        write_text_atomically(attempt.settled, utc_now().isoformat())
        return True

    def _sweep_leases(self) -> None:
        """Free what the dead hold, on this host and others; give back what the living here have lost."""
        with self._lock:
            jobs = list(self._followed.values())
        starting = {job.lease_owner for job in jobs if job.launcher is not None and job.launcher.poll() is None}
        with self._services.unit_of_work() as uow:
            parts = self._nodes.living_parts(set(uow.leases.owners(self._host).values()) - starting)
            sweep_leases(uow, self._settings, self._host, starting | set(parts))
            owners = set(uow.leases.owners(self._host).values())
            for owner, cards in parts.items():
                if owner not in owners:
                    uow.leases.restore(owner, cards, self._host, LeaseKind.TRAINING)
            leases = uow.leases.all()
            for job in jobs:
                view = job_view(job.folder)
                is_running = view.state is JobState.RUNNING and view.attempt == job.submission.attempt
                if job.lease_owner not in owners and is_running:
                    restore_lease(uow, job.folder, self._host)
        self._nodes.exchange(self._wanted_nodes(leases))
        with self._lock:
            for folder in orphans(self._settings, self._followed, self._host):
                self._adopt(folder)

    def _reaches_database(self, write: Callable[[], None]) -> bool:
        """Do it; False where PostgreSQL is away."""
        try:
            write()
        except UnavailableError as error:
            reason = str(error)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            reason = str(error.orig)
        else:
            return True
        if time.monotonic() - self._database_warned_at > DATABASE_WARNING_SECONDS:
            self._database_warned_at = time.monotonic()
            log.warning("the database has to wait: %s", reason)
        return False

    # Folders

    @staticmethod
    def _was_given_up_by(host: str, folder: JobFolder) -> bool:
        """That host has declared the end of the newest attempt, and has to see to what follows from it."""
        end = read_json(folder.attempt(job_view(folder).attempt).exit) or {}
        return end.get("declared_by") == host

    def _folder(self, job_key: str) -> JobFolder:
        return JobFolder(self._settings.jobs_dir / job_key)

    def _adopt(self, folder: JobFolder) -> None:
        """Follow a job that a runner of this host left unsettled before this one."""
        try:
            submission = read_submission(folder)
        except InvalidDataError as error:
            log.warning("%s", error)
            return
        if folder.attempt(submission.attempt).settled.exists():
            return
        if not is_of_host(folder, submission.attempt, self._host) and not self._was_given_up_by(self._host, folder):
            return
        log.info("adopted %s attempt %d: %s", submission.job_key, submission.attempt, job_view(folder).state)
        self._followed[submission.job_key] = _Followed(folder, submission)


def _asks_the_same(one: JobSubmission, other: JobSubmission) -> bool:
    """Both mean the same work, also where one was stored before its request had a field that now has a default."""
    if one.kind is not other.kind or one.request == other.request:
        return one.kind is other.kind
    request = next(stage.request for stage in STAGES.values() if stage.job_kind is one.kind)
    try:
        return request.model_validate(one.request) == request.model_validate(other.request)
    except ValidationError:
        return False
