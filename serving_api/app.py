"""The admin API as one FastAPI application, with the background work of the control process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from security.access.decisions import PolicyDecisions
from serving_api.admin import ab_tests, accounts, audit, datasets, gpus, jobs, models, pipeline_runs, uploads
from serving_api.answer_traces import traced
from serving_api.audit_keeper import AuditKeeper
from serving_api.documentation import install_documentation
from serving_api.event_mover import EventMover
from serving_api.event_store import event_store
from serving_api.examples import install_examples
from serving_api.guardrail_watch import GuardrailWatch
from serving_api.limits import Limits
from serving_api.problems import install_problem_details
from serving_api.sessions import keys
from serving_api.sessions import router as sessions
from stages.call_log import CallLog
from stages.logins import open_tokens
from stages.services import Services
from stages.tracing import open_tracer


def create_app(services: Services, watch: GuardrailWatch | None = None) -> FastAPI:
    """The application for these services; its background work runs from startup to shutdown.

    Without a watch, harm that users meet is seen by the monitor of each minute. Raises NotFoundError before the secrets of
    the installation exist.
    """
    decisions = PolicyDecisions(services.settings.policy_url, services.settings.policy_timeout_seconds)
    keeper = AuditKeeper(services)
    store = event_store(services)
    tracer = open_tracer(services.settings, "serving-api")
    if tracer is not None:
        store = traced(store, tracer, services.settings.traced_answers)
    mover = EventMover(
        services.settings.events_dir, store if watch is None else watch.watched(store), services.recorded_text
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        mover.start()
        keeper.start()
        await run_in_threadpool(uploads.go_on_with_uploads, services)
        try:
            yield
        finally:
            await run_in_threadpool(mover.close)
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
    app.state.mover = mover
    app.state.tokens = open_tokens(services.settings)
    install_problem_details(app)
    app.add_middleware(Limits, services=services)
    app.add_middleware(CallLog, tracer=tracer)
    for resource in (uploads, datasets, jobs, models, ab_tests, pipeline_runs, gpus, audit, accounts):
        app.include_router(resource.router)
    app.include_router(sessions)
    app.include_router(keys)

    @app.get("/health", tags=["control"])
    def health() -> dict[str, Any]:
        """The service runs."""
        return {"status": "ok"}

    return app
