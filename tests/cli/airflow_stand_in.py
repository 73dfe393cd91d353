"""The part of Airflow's REST API v2 that the client uses, with answers as Airflow 3.3.2 was seen to give them."""

import threading
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from contracts.identity import PLATFORM_USER
from tests.ports import free_port


def task(task_id: str, state: str | None, *, started: str | None = None, ended: str | None = None) -> dict[str, Any]:
    return {"task_id": task_id, "state": state, "try_number": 1, "start_date": started, "end_date": ended}


@dataclass
class AirflowStandIn:
    """One DAG; its runs go through `scenes`, one a look."""

    dag_id: str = "pipeline"
    scenes: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=lambda: [("success", [])])
    xcoms: dict[str, Any] = field(default_factory=dict)
    logs: dict[str, list[Any]] = field(default_factory=dict)
    import_errors: list[dict[str, str]] = field(default_factory=list)
    is_paused: bool = False
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    valid_tokens: set[str] = field(default_factory=set)
    logins: int = 0
    looks: int = 0
    outage: int = 0
    """So many answers are HTTP 503."""
    results_away: int = 0
    """So many of the answers that tell what a task has left are `away_status`."""
    away_status: int = 503
    refusal_status: int = 401
    refusal: str = "Invalid or expired token"
    """Of a token that is not valid."""
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "AirflowStandIn":
        self._server = uvicorn.Server(uvicorn.Config(self._app(), port=self.port, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def _run(self, run_id: str) -> dict[str, Any]:
        return {"dag_id": self.dag_id, "dag_run_id": run_id, "state": self.scenes[0][0], "start_date": None,
                "end_date": None, **self.runs[run_id]}  # fmt: skip

    def _app(self) -> FastAPI:
        app = FastAPI()
        runs = f"/api/v2/dags/{self.dag_id}/dagRuns"

        def problem(status: int, detail: Any) -> JSONResponse:
            return JSONResponse({"detail": detail}, status_code=status)

        @app.middleware("http")
        async def guard(request: Request, call_next):
            if self.outage:
                self.outage -= 1
                return problem(503, "starting")
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if request.url.path.startswith("/api/v2") and token not in self.valid_tokens:
                return problem(self.refusal_status, self.refusal)
            return await call_next(request)

        @app.post("/auth/token", status_code=201)
        async def log_in(request: Request):
            if await request.json() not in [{"username": name, "password": "right"} for name in ("ci", PLATFORM_USER)]:
                return problem(401, "Invalid credentials")
            self.logins += 1
            self.valid_tokens = {f"token-{self.logins}"}
            return {"access_token": f"token-{self.logins}"}

        @app.get("/api/v2/importErrors")
        def import_errors():
            return {"import_errors": self.import_errors, "total_entries": len(self.import_errors)}

        @app.get("/api/v2/dags/{dag_id}")
        def dag(dag_id: str):
            if dag_id != self.dag_id:
                return problem(404, f"The Dag with ID: `{dag_id}` was not found")
            return {"dag_id": dag_id, "is_paused": self.is_paused}

        @app.post(runs)
        async def trigger(request: Request):
            body = await request.json()
            if "logical_date" not in body:
                return problem(422, [{"loc": ["body", "logical_date"], "msg": "Field required"}])
            if body["conf"].get("lora_rank") == 0:
                return problem(
                    400,
                    "Invalid input for param lora_rank: 0 is less than the minimum of 1\n\nFailed validating 'minimum'",
                )
            if body["dag_run_id"] in self.runs:
                return problem(409, {"reason": "Unique constraint violation"})
            self.runs[body["dag_run_id"]] = {"conf": body["conf"]}
            return {**self._run(body["dag_run_id"]), "state": "queued"}

        @app.get(f"{runs}/{{run_id}}")
        def run(run_id: str):
            self.looks += 1
            if len(self.scenes) > 1 and self.looks > 1:
                self.scenes.pop(0)
            return self._run(run_id) if run_id in self.runs else problem(404, "no such run")

        @app.get(f"{runs}/{{run_id}}/taskInstances")
        def tasks(run_id: str, limit: int, offset: int):
            found = self.scenes[0][1]
            return {"task_instances": found[offset : offset + min(limit, 2)], "total_entries": len(found)}

        @app.get(f"{runs}/{{run_id}}/taskInstances/{{task_id}}/xcomEntries/{{key}}")
        def xcom(run_id: str, task_id: str, key: str, stringify: bool):
            assert not stringify
            if self.results_away:
                self.results_away -= 1
                return problem(self.away_status, "away")
            return {"value": self.xcoms[task_id]} if task_id in self.xcoms else problem(404, "no such XCom")

        @app.get(f"{runs}/{{run_id}}/taskInstances/{{task_id}}/logs/{{try_number}}")
        def log(run_id: str, task_id: str, try_number: int):
            return {"content": self.logs.get(task_id, []), "continuation_token": None}

        return app
