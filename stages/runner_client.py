"""How others speak to the runner: one client for functions, one for event loops."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from contracts.enums import JobState
from contracts.errors import NotFoundError, TunewayError, UnavailableError, error_from_record
from contracts.jobs import JobSubmission, JobView, LogChunk
from contracts.record import JsonObject
from settings import SecretName, Settings, read_secret
from stages.tracing import parent_header
from storage.job_state import job_folders, job_view, launchers_here
from storage.log_lines import REQUEST_ID_HEADER, request_id
from storage.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

TIMEOUT_SECONDS = 15.0
"""Longer than a pass of the runner with PostgreSQL away: its connections give up after 5 s."""


class RunnerClient:
    """The runner's door for ordinary code. Every call raises UnavailableError while the runner does not answer.

    :param url: another host's runner than the settings'
    """

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        self._settings = settings
        self._url = url or settings.resolved_runner_url

    def health(self) -> JsonObject:
        """What the runner says about itself."""
        value: JsonObject = self._call("GET", "/health", headers={})  # open to all: asked before the first `up` too
        return value

    def is_up(self) -> bool:
        """The runner answers."""
        try:
            self.health()
        except UnavailableError:
            return False
        return True

    def submit(self, submission: JobSubmission) -> JobView:
        """Hand a job over. The same key and attempt again changes nothing."""
        return JobView.model_validate(self._call("POST", "/jobs", json=submission.model_dump(mode="json")))

    def submit_or_resume(self, submission: JobSubmission) -> JobView:
        """Hand a job over, go on with the attempt that runs or has succeeded, or start the next one after a failure."""
        try:
            present = self.view(submission.job_key)
        except NotFoundError:
            return self.submit(submission)
        if not present.state.is_final or present.state is JobState.SUCCEEDED:
            return present
        return self.submit(submission.model_copy(update={"attempt": present.attempt + 1}))

    def views(self) -> list[JobView]:
        """Every job."""
        return [JobView.model_validate(value) for value in self._call("GET", "/jobs")]

    def view(self, job_key: str) -> JobView:
        """One job. Raises NotFoundError."""
        return JobView.model_validate(self._call("GET", f"/jobs/{job_key}"))

    def log(self, job_key: str, offset: int = 0, attempt: int | None = None) -> LogChunk:
        """Its output from a byte offset on."""
        return LogChunk.model_validate(self._call("GET", f"/jobs/{job_key}/log", params=_log_query(offset, attempt)))

    def result(self, job_key: str) -> JsonObject:
        """Its record. Raises NotFoundError while there is none."""
        value: JsonObject = self._call("GET", f"/jobs/{job_key}/result")
        return value

    def stop(self, job_key: str, attempt: int) -> JobView:
        """Ask this attempt to end. Raises ConflictError when the job is at another attempt."""
        return JobView.model_validate(self._call("POST", f"/jobs/{job_key}/stop", json={"attempt": attempt}))

    def wait(
        self,
        job_key: str,
        *,
        poll_seconds: float = 0.5,
        patience_seconds: float = 60.0,
        on_view: Callable[[JobView], None] | None = None,
    ) -> JobView:
        """The job's last view, once its attempt has ended.

        A runner that is being restarted is waited for, `patience_seconds` at most.
        """
        last_answer = time.monotonic()
        while True:
            try:
                view = self.view(job_key)
            except UnavailableError:
                if time.monotonic() - last_answer > patience_seconds:
                    raise
            else:
                last_answer = time.monotonic()
                if on_view is not None:
                    on_view(view)
                if view.state.is_final:
                    return view
            time.sleep(poll_seconds)

    def _call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
        import httpx

        try:
            response = httpx.request(
                method,
                self._url + path,
                headers=_headers(self._settings) if headers is None else headers,
                timeout=TIMEOUT_SECONDS,
                trust_env=False,
                **arguments,
            )
        except httpx.HTTPError as error:
            raise _no_answer(self._url, error) from error
        return _value_of(response)


class AsyncRunnerClient:
    """The runner's door for a trigger: one connection pool, closed at the end of the block.

    :param url: another host's runner than the settings'
    """

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        self._settings = settings
        self._url = url or settings.resolved_runner_url
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> AsyncRunnerClient:
        import httpx

        self._client = httpx.AsyncClient(
            base_url=self._url,
            headers=_headers(self._settings),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def view(self, job_key: str) -> JobView:
        """One job. Raises NotFoundError."""
        return JobView.model_validate(await self._call("GET", f"/jobs/{job_key}"))

    async def log(self, job_key: str, offset: int = 0, attempt: int | None = None) -> LogChunk:
        """Its output from a byte offset on."""
        query = _log_query(offset, attempt)
        return LogChunk.model_validate(await self._call("GET", f"/jobs/{job_key}/log", params=query))

    async def stop(self, job_key: str, attempt: int) -> JobView:
        """Ask this attempt to end. Raises ConflictError when the job is at another attempt."""
        return JobView.model_validate(await self._call("POST", f"/jobs/{job_key}/stop", json={"attempt": attempt}))

    async def _call(self, method: str, path: str, **arguments: Any) -> Any:
        import httpx

        assert self._client is not None, "use it in an `async with` block"
        try:
            response = await self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise _no_answer(self._url, error) from error
        return _value_of(response)


def interrupt_jobs(settings: Settings, patience_seconds: float = 40.0) -> list[str]:
    """End every job of this host so that it can go on later; the keys of those that ran.

    For the end of the whole platform: training saves a checkpoint, the attempt ends as lost, and starting it again
    resumes. The runner should be down already, or whoever watches the job may start it again at once.
    """
    interrupted: dict[str, JsonObject] = {}
    for folder in job_folders(settings.jobs_dir):
        try:
            view = job_view(folder)
        except TunewayError:
            continue
        for identity in launchers_here(folder, view.attempt):
            os.kill(int(str(identity["pid"])), signal.SIGTERM)
            interrupted[folder.root.name] = identity
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline and any(is_alive(identity) for identity in interrupted.values()):
        time.sleep(0.2)
    return list(interrupted)


def _log_query(offset: int, attempt: int | None) -> dict[str, int]:
    return {"offset": offset} if attempt is None else {"offset": offset, "attempt": attempt}


def _headers(settings: Settings) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {read_secret(settings.secrets_dir, SecretName.RUNNER_TOKEN)}"}
    asked_by = request_id()
    return headers if asked_by is None else {**headers, REQUEST_ID_HEADER: asked_by, **parent_header()}


def _no_answer(url: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        "The runner does not answer",
        value=f"{url} ({type(error).__name__})",
        next_step="look at it with `tuneway status`, start it with `tuneway up`",
    )


def _value_of(response: httpx.Response) -> Any:
    """The answer's JSON, or the error it carries."""
    try:
        value = response.json()
    except ValueError as error:
        raise UnavailableError(
            "The runner gave an answer that is not JSON",
            value=f"HTTP {response.status_code}",
            next_step="look at its log with `tuneway logs runner`; is another program on its port?",
        ) from error
    if response.is_success:
        return value
    raise error_from_record(value if isinstance(value, dict) else {"what": str(value)})
