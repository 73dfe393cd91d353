"""The service as one ASGI application: /v1 goes to the data path, everything else to FastAPI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool

from security.access.decisions import PolicyDecisions
from serving_api.admin import ab_tests, accounts, audit, datasets, gpus, jobs, models, pipeline_runs, uploads
from serving_api.audit_keeper import AuditKeeper
from serving_api.chat_access import ChatAccess
from serving_api.data_path import DataPath, Receive, Scope, Send
from serving_api.documentation import install_documentation
from serving_api.event_log import EventLog
from serving_api.event_mover import EventMover
from serving_api.event_store import event_store
from serving_api.examples import install_examples
from serving_api.guardrail_watch import GuardrailWatch
from serving_api.limits import Limits
from serving_api.metrics import CONTENT_TYPE
from serving_api.problems import install_problem_details
from serving_api.routing import Routing
from serving_api.sessions import keys
from serving_api.sessions import router as sessions
from settings import SecretName, read_secret
from stages.logins import open_tokens
from stages.services import Services


class Service:
    """Routes each request to its half."""

    def __init__(self, services: Services, watch: GuardrailWatch | None = None) -> None:
        """Raises NotFoundError before the secrets of the installation exist."""
        settings = services.settings
        self.routing = Routing(services)
        store = event_store(services)
        folder = settings.data_dir / "serving" / "events"
        self.events = EventLog(folder, services.recorded_text)
        self.mover = EventMover(folder, store if watch is None else watch.watched(store), services.recorded_text)
        self.data_path = DataPath(
            self.routing,
            self.events,
            read_secret(settings.secrets_dir, SecretName.ASSIGNMENT_KEY),
            ChatAccess(services),
        )
        self.control = _control(self, services, watch)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            await self.data_path(scope, receive, send)
        else:
            await self.control(scope, receive, send)


def create_app(services: Services, watch: GuardrailWatch | None = None) -> Service:
    """The application for these services; its background work runs from startup to shutdown.

    Without a watch, harm that users meet is seen by the monitor of each minute.
    """
    return Service(services, watch)


def _control(service: Service, services: Services, watch: GuardrailWatch | None) -> FastAPI:
    decisions = PolicyDecisions(services.settings.policy_url, services.settings.policy_timeout_seconds)

    keeper = AuditKeeper(services)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.events.start()
        service.mover.start()
        keeper.start()
        await run_in_threadpool(uploads.go_on_with_uploads, services)
        await service.routing.start()
        await service.data_path.start()
        try:
            yield
        finally:
            await service.data_path.stop()
            await service.routing.stop()
            service.events.close()
            service.mover.close()
            if watch is not None:
                watch.stop()
            keeper.close()
            await decisions.close()

    app = FastAPI(
        title="Tuneway",
        description="A/B router and admin API",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    install_documentation(app)
    install_examples(app)
    app.state.services = services
    app.state.decisions = decisions
    app.state.tokens = open_tokens(services.settings)
    install_problem_details(app)
    app.add_middleware(Limits, services=services)
    for resource in (uploads, datasets, jobs, models, ab_tests, pipeline_runs, gpus, audit, accounts):
        app.include_router(resource.router)
    app.include_router(sessions)
    app.include_router(keys)

    @app.get("/health", tags=["control"])
    def health() -> dict[str, Any]:
        """The process runs."""
        return {"status": "ok"}

    @app.get("/metrics", tags=["control"], response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """What the router counted since it started, for Prometheus: by arm and model."""
        return PlainTextResponse(service.data_path.metrics(is_behind=service.mover.is_behind), media_type=CONTENT_TYPE)

    @app.get("/ready", tags=["control"])
    def ready(response: Response) -> dict[str, Any]:
        """The service can answer users; 503 with what is missing where it cannot."""
        table = service.routing.table
        is_ready = table is not None and bool(table.by_name) and not service.data_path.is_draining
        if not is_ready:
            response.status_code = 503
        return {
            "ready": is_ready,
            "deployed_models": [] if table is None else list(table.by_name),
            "experiment_ids": [] if table is None else [one.experiment.experiment_id for one in table.experiments],
            "is_stopping": service.data_path.is_draining,
            "database_answers": service.routing.database_answers,
            "requests_in_flight": service.data_path.in_flight,
            "events_waiting": service.mover.is_behind,
            "events_waiting_bytes": service.events.pending_bytes,
        }

    return app
