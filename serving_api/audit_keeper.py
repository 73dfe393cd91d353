"""A thread that signs the audit trail's head regularly and stores the events that waited for PostgreSQL."""

import logging
import threading

from contracts.errors import TunewayError
from stages.audit import sign_audit_head
from stages.audit_waiting import store_waiting
from stages.services import Services

log = logging.getLogger(__name__)

PERIOD_SECONDS = 300.0


class AuditKeeper:
    """Runs beside the service; several processes may each have one."""

    def __init__(self, services: Services, period_seconds: float = PERIOD_SECONDS) -> None:
        self._services = services
        self._period_seconds = period_seconds
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="audit-keeper", daemon=True)

    def start(self) -> None:
        """Begin; the first signature comes after one period."""
        self._thread.start()

    def close(self) -> None:
        """End after the signature that is under way."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _keep(self) -> None:
        while not self._closing.wait(self._period_seconds):
            try:
                store_waiting(self._services)
                sign_audit_head(self._services)
            except (TunewayError, OSError) as error:
                log.error("the audit trail's head could not be signed: %s", error)
            except Exception:
                # a fault of ours must not end the thread: later heads would go unsigned
                log.exception("the audit trail's head could not be signed")
