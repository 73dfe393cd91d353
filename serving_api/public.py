"""The public service as one ASGI application: /v1 goes to the data path, everything else to the control process.

Nothing here may import a framework or the database: this process answers every question of every user, within 80 MB.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from serving_api.asgi import Receive, Scope, Send
from serving_api.chat_access import ChatAccess
from serving_api.control_door import ControlDoor
from serving_api.control_process import ControlProcess
from serving_api.data_path import DataPath
from serving_api.event_log import EventLog
from serving_api.remembered_state import RememberedState
from serving_api.routing import Routing
from settings import SecretName, read_secret
from stages.services import Services
from storage.exposition import CONTENT_TYPE

HEALTH_PATH = "/health"


class PublicService:
    """Routes each request to its half."""

    def __init__(self, services: Services, control: ControlProcess | None) -> None:
        """Without a control process to start, one answers already. Raises NotFoundError before the installation has its secrets."""
        settings = services.settings
        self._control = control
        self._door = ControlDoor(settings.run_dir)
        access = ChatAccess(settings)
        self.routing = Routing(self._door.state, access, RememberedState(settings.run_dir / "serving_state.json"))
        self.events = EventLog(settings.events_dir, services.recorded_text)
        self.data_path = DataPath(
            self.routing, self.events, read_secret(settings.secrets_dir, SecretName.ASSIGNMENT_KEY), access
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"].startswith("/v1/"):
            await self.data_path(scope, receive, send)
        elif scope["method"] in {"GET", "HEAD"} and scope["path"] in _OWN:
            status, content_type, body = _OWN[scope["path"]](self)
            headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        else:
            if scope["path"] == HEALTH_PATH and self.routing.table is None:
                # whoever is told that the service runs may ask at once
                await self.routing.refresh()
            await self._door(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self._control is not None:
            self._control.start(self._door.is_alive)
        self.events.start()
        self.data_path.start()
        self.routing.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.data_path.stop()
        await self.routing.stop()
        self.events.close()
        if self._control is not None:
            await self._control.stop()
        await send({"type": "lifespan.shutdown.complete"})

    @property
    def _is_behind(self) -> bool:
        """Events wait for PostgreSQL."""
        is_away = not self.routing.database_answers
        return self.routing.is_behind or (is_away and self.events.pending_bytes > 0)

    def _metrics(self) -> tuple[int, str, bytes]:
        """What the router counted since it started, for Prometheus: by arm and model."""
        text = self.data_path.metrics(
            {
                "events_waiting_bytes": self.events.pending_bytes,
                "events_behind": self._is_behind,
                "events_held": self.data_path.events.held,
                "events_lost": self.data_path.events.lost,
            }
        )
        return 200, CONTENT_TYPE, text.encode()

    def _ready(self) -> tuple[int, str, bytes]:
        """The service can answer users; 503 with what is missing where it cannot."""
        table = self.routing.table
        is_ready = table is not None and bool(table.by_name) and not self.data_path.is_draining
        found: Mapping[str, Any] = {
            "ready": is_ready,
            "deployed_models": [] if table is None else list(table.by_name),
            "experiment_ids": [] if table is None else [one.experiment.experiment_id for one in table.experiments],
            "is_stopping": self.data_path.is_draining,
            "database_answers": self.routing.database_answers,
            "is_remembered": self.routing.is_remembered,
            "requests_in_flight": self.data_path.in_flight,
            "events_waiting": self._is_behind,
            "events_waiting_bytes": self.events.pending_bytes,
            "events_held": self.data_path.events.held,
        }
        return 200 if is_ready else 503, "application/json", orjson.dumps(found)


_OWN = {"/metrics": PublicService._metrics, "/ready": PublicService._ready}
