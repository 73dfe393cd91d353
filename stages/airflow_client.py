"""Airflow's REST API v2, as far as the platform needs it: trigger, follow, read results and logs."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from contracts.errors import ConflictError, InvalidRequestError, NotFoundError, TunewayError, UnavailableError
from contracts.record import JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
PATIENCE_SECONDS = 600.0
"""How long an Airflow that does not answer is waited for."""
TIMEOUT_SECONDS = 30.0
"""A loaded machine's api-server was seen to take 11 s for a page of task instances."""
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
FINAL_RUN_STATES = {"success", "failed"}


@dataclass(frozen=True, slots=True)
class RunView:
    """A DAG run as Airflow sees it now."""

    dag_id: str
    run_id: str
    state: str
    conf: JsonObject
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def is_final(self) -> bool:
        """The run has ended."""
        return self.state in FINAL_RUN_STATES


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task of a run as Airflow sees it now."""

    task_id: str
    state: str | None
    """None while the task waits for those before it."""
    try_number: int
    started_at: datetime | None
    ended_at: datetime | None


class AirflowClient:
    """One Airflow. Every call raises UnavailableError while it does not answer.

    With a user's name and password a token is fetched at the first call, and again when it has expired.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._credentials = None if username is None else {"username": username, "password": password or ""}
        # a site's proxy must not catch calls within this machine
        trust_env = _checked_host(self.url) not in LOOPBACK
        self._http = httpx.Client(base_url=self.url, timeout=timeout_seconds, trust_env=trust_env)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> AirflowClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_healthy(self) -> bool:
        """Scheduler, dag-processor, triggerer and database report in."""
        try:
            health = self._send("GET", "/api/v2/monitor/health").json()
        except (TunewayError, ValueError):
            return False
        return all(part.get("status") == "healthy" for part in health.values())

    def import_errors(self) -> dict[str, str]:
        """DAG files that Airflow could not read: name and the end of the traceback."""
        errors = self._call("GET", "/api/v2/importErrors").json()["import_errors"]
        return {error["filename"]: error["stack_trace"].strip().splitlines()[-1] for error in errors}

    def check_dag(self, dag_id: str) -> None:
        """Raises where a run of this DAG would fail or wait without end for a reason that can be seen now."""
        for filename, last_line in self.import_errors().items():
            if filename.rpartition("/")[2] == f"{dag_id}.py":
                raise ConflictError(
                    "Airflow cannot read the DAG's file",
                    value=f"{filename}: {last_line}",
                    next_step="mend the file, wait until the error is gone from Airflow's first page",
                )
        dag = self._call("GET", f"/api/v2/dags/{quote(dag_id, safe='')}").json()
        if dag["is_paused"]:
            raise ConflictError(
                "The DAG is paused: a run would wait in the queue without end",
                value=dag_id,
                next_step=f"unpause it in Airflow's UI, or run `airflow dags unpause {dag_id}`",
            )

    def trigger(self, dag_id: str, run_id: str, conf: JsonObject, *, note: str = "") -> RunView:
        """Start a run. The same id and configuration again is the same run; with another configuration a conflict."""
        body = {"dag_run_id": run_id, "conf": conf, "logical_date": None, "note": note or None}
        try:
            answer = self._call("POST", f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns", json=body)
        except ConflictError:
            present = self.run(dag_id, run_id)
            changed = sorted(key for key in {*conf, *present.conf} if conf.get(key) != present.conf.get(key))
            if changed:
                raise ConflictError(
                    f"The run {run_id} exists with another configuration",
                    value=f"different: {', '.join(changed)}",
                    next_step="trigger it under another run id",
                ) from None
            return present
        log.info("Airflow has the run %s/%s", dag_id, run_id)
        return _run_view(answer.json())

    def run(self, dag_id: str, run_id: str) -> RunView:
        """One run. Raises NotFoundError."""
        return _run_view(self._call("GET", self._run_path(dag_id, run_id)).json())

    def tasks(self, dag_id: str, run_id: str) -> list[TaskView]:
        """The run's tasks, those that have started in the order of their start, then the others."""
        found: list[TaskView] = []
        while True:
            page = self._call(
                "GET",
                f"{self._run_path(dag_id, run_id)}/taskInstances",
                params={"limit": 100, "offset": len(found)},
            ).json()
            found.extend(_task_view(value) for value in page["task_instances"])
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                break
        return sorted(found, key=lambda task: (task.started_at is None, task.started_at))

    def result(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task returned, or None where it has left nothing."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/xcomEntries/{key}"
        try:
            answer = self._call("GET", path, params={"stringify": "false"})
        except NotFoundError:
            return None
        return answer.json()["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
        """One try's log, also while the task is deferred."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/logs/{try_number}"
        content = self._call("GET", path, params={"full_content": "true"}).json()["content"]
        if isinstance(content, str):
            return content
        return "\n".join(_log_line(entry) for entry in content)

    def follow(
        self,
        dag_id: str,
        run_id: str,
        *,
        poll_seconds: float = 2.0,
        patience_seconds: float = PATIENCE_SECONDS,
        timeout_seconds: float | None = None,
        on_unreachable: Callable[[UnavailableError], None] | None = None,
    ) -> Iterator[tuple[RunView, list[TaskView]]]:
        """The run and its tasks, each time one of them has changed; the last item is the run's end.

        An Airflow that does not answer is waited for, `patience_seconds` at most. Where `timeout_seconds` pass
        first, the iteration ends with a run that is not final.
        """
        began = answered = time.monotonic()
        before: tuple[RunView, list[TaskView]] | None = None
        while True:
            try:
                seen = self.run(dag_id, run_id), self.tasks(dag_id, run_id)
            except UnavailableError as error:
                if time.monotonic() - answered > patience_seconds:
                    raise
                if on_unreachable is not None:
                    on_unreachable(error)
            else:
                answered = time.monotonic()
                if seen != before:
                    yield seen
                    before = seen
                if seen[0].is_final:
                    return
            if timeout_seconds is not None and time.monotonic() - began > timeout_seconds:
                return
            time.sleep(poll_seconds)

    @staticmethod
    def patiently(
        ask: Callable[[], Answer], *, poll_seconds: float = 2.0, patience_seconds: float = PATIENCE_SECONDS
    ) -> Answer:
        """What `ask` gives. An Airflow that does not answer is waited for, `patience_seconds` at most."""
        began = time.monotonic()
        while True:
            try:
                return ask()
            except UnavailableError:
                if time.monotonic() - began > patience_seconds:
                    raise
            time.sleep(poll_seconds)

    def page_of_run(self, dag_id: str, run_id: str) -> str:
        """Where a person sees the run."""
        return f"{self.url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"

    @staticmethod
    def _run_path(dag_id: str, run_id: str) -> str:
        return f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"

    def _log_in(self) -> None:
        assert self._credentials is not None
        answer = self._send("POST", "/auth/token", json=self._credentials)
        if answer.status_code in {401, 403, 422}:
            raise InvalidRequestError(
                "Airflow does not accept the user's name and password",
                value=f"user {self._credentials['username']} at {self.url}",
                next_step="correct --user and --password-file",
            )
        self._token = str(_checked(answer, self.url).json()["access_token"])

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if self._token is None and self._credentials is not None:
            self._log_in()
        answer = self._send(method, path, **arguments)
        if _is_of_another_time(answer) and self._credentials is not None:
            self._log_in()
            answer = self._send(method, path, **arguments)
        return _checked(answer, self.url)

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        try:
            return self._http.request(method, path, headers=headers, **arguments)
        except httpx.HTTPError as error:
            raise UnavailableError(
                "Airflow does not answer",
                value=f"{self.url} ({type(error).__name__})",
                next_step="check the address; on the platform's own machine run `tuneway status`",
            ) from error


def _is_of_another_time(answer: httpx.Response) -> bool:
    """The token has expired, or the clock was set back behind its issue: Airflow then forbids."""
    return answer.status_code == 401 or (answer.status_code == 403 and "JWT" in answer.text)


def _checked_host(url: str) -> str:
    """The address's host. Raises InvalidRequestError where the address is none."""
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts.hostname
    except ValueError:  # a port that is no port
        pass
    raise InvalidRequestError(
        "Airflow's address is not a URL", value=url, allowed="http(s)://host:port", next_step="correct --url"
    )


def _checked(answer: httpx.Response, url: str) -> httpx.Response:
    """The answer, or the error that it stands for."""
    if answer.is_success:
        return answer
    try:
        detail = answer.json().get("detail")
    except (ValueError, AttributeError):
        detail = answer.text[:300]
    what = f"Airflow refuses the request: {_sentence(detail)}"
    if answer.status_code == 401:
        raise InvalidRequestError("Airflow does not accept the token", value=url, next_step="fetch a new token")
    if answer.status_code == 403:
        raise InvalidRequestError(what, value=url, allowed="a user of the role Op", next_step="use another user")
    if answer.status_code == 404:
        raise NotFoundError(what, value=answer.request.url.path, next_step="check the DAG's and the run's name")
    if answer.status_code == 409:
        raise ConflictError(what, value=answer.request.url.path)
    if answer.status_code == 429:
        raise UnavailableError("Airflow asks to wait: too many requests", value=url, next_step="try again in a minute")
    if answer.status_code >= 500:
        raise UnavailableError(
            "Airflow has failed to answer", value=f"HTTP {answer.status_code}", next_step="read the api-server's log"
        )
    raise InvalidRequestError(what, value=f"HTTP {answer.status_code}", next_step="correct the request")


def _sentence(detail: Any) -> str:
    """Airflow's words for what is wrong, on one line, the failing value's schema left out."""
    if isinstance(detail, list):
        return "; ".join(
            f"{'.'.join(str(part) for part in item.get('loc', []))}: {item.get('msg')}"
            if isinstance(item, dict)
            else str(item)
            for item in detail
        )
    if isinstance(detail, dict):
        return str(detail.get("reason") or detail.get("message") or detail)
    return str(detail).partition("\n\nFailed validating")[0].replace("\n", " ")


def _log_line(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    told = f"{entry.get('timestamp') or ''} {str(entry.get('level') or '').upper()} {entry.get('event', '')}".strip()
    reasons = [
        f"{error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or [] if error
    ]
    return "\n".join([told, *reasons])


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _run_view(value: Any) -> RunView:
    return RunView(
        dag_id=value["dag_id"],
        run_id=value["dag_run_id"],
        state=value["state"],
        conf=value.get("conf") or {},
        started_at=_moment(value.get("start_date")),
        ended_at=_moment(value.get("end_date")),
    )


def _task_view(value: Any) -> TaskView:
    return TaskView(
        task_id=value["task_id"],
        state=value["state"],
        try_number=value["try_number"],
        started_at=_moment(value.get("start_date")),
        ended_at=_moment(value.get("end_date")),
    )
