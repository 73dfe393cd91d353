"""Who had cards, for how long, and until when: read from the folders of jobs."""

from contextlib import suppress
from datetime import datetime, timedelta

from contracts.enums import JobState
from contracts.errors import InvalidDataError, NotFoundError
from contracts.record import utc_now
from runner.queue import CardUse
from storage.files import read_json
from storage.job_folder import JobFolder
from storage.job_state import host_of, job_view, read_submission


def card_uses(folder: JobFolder, attempt: int | None = None, *, host: str | None = None) -> list[CardUse]:
    """Times in which the job's ended attempts, or that one, had cards (of that host)."""
    found = []
    with suppress(InvalidDataError, NotFoundError):
        submission = read_submission(folder)
        for number in [attempt] if attempt is not None else range(1, submission.attempt + 1):
            if host is not None and host_of(folder, number) not in {None, host}:
                continue
            paths = folder.attempt(number)
            launcher, end = read_json(paths.launcher), read_json(paths.exit)
            if launcher is not None and end is not None and "started_at" in launcher and "finished_at" in end:
                began, ended = (datetime.fromisoformat(str(at)) for at in (launcher["started_at"], end["finished_at"]))
                found.append(CardUse(submission.project, submission.num_gpus, began, ended))
    return found


def running_uses(folder: JobFolder) -> list[CardUse]:
    """The time in which the job has had its cards so far; empty unless it runs."""
    view = job_view(folder)
    if view.state is not JobState.RUNNING or view.started_at is None:
        return []
    submission = read_submission(folder)
    return [CardUse(submission.project, submission.num_gpus, view.started_at, None)]


def expected_end(folder: JobFolder) -> datetime | None:
    """When the job will give its cards back: by its own estimate, else by the one made before it began."""
    try:
        view, submission = job_view(folder), read_submission(folder)
    except (InvalidDataError, NotFoundError):
        return None
    if view.state.is_final:
        return utc_now()
    progress = view.progress
    if view.started_at is not None and progress is not None and progress.eta_seconds is not None:
        is_of_this_attempt = progress.updated_at >= view.started_at
        if is_of_this_attempt:
            return progress.updated_at + timedelta(seconds=progress.eta_seconds)
    if submission.expected_seconds is None:
        return None
    planned = (view.started_at or utc_now()) + timedelta(seconds=submission.expected_seconds)
    return planned if planned > utc_now() else None
