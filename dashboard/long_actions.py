"""What a person starts on a page and that takes minutes: it goes on beside the pages, and every reader sees how it goes.

Each of these actions is safe to be cut off and done again: where the dashboard ends meanwhile, what was reached stands in
PostgreSQL, and the same button goes on.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from contracts.errors import ConflictError, TunewayError
from contracts.record import utc_now
from dashboard.sessions import installation_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from stages.services import Services

TOLD_FOR = timedelta(minutes=10)
"""How it ended is told to those who come so much later."""
AT_A_TIME = 4


@dataclass(slots=True)
class LongAction:
    """One action, while it goes on and after it."""

    name: str
    actor: str
    began_at: datetime
    future: Future[object]
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """It has ended, well or not."""
        return self.future.done()

    def failure(self) -> TunewayError | None:
        """Why it was not done; None where it was. A fault of ours is raised as it is."""
        try:
            self.future.result()
        except TunewayError as error:
            return error
        return None


_actions: dict[tuple[str, str], LongAction] = {}
_lock = Lock()
_pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="long-action")


def begin(services: Services, subject: str, name: str, actor: str, do: Callable[[], object]) -> None:
    """Begin it, and come back at once. Raises ConflictError while another one goes on over the same subject."""
    key = (installation_of(services), subject)
    with _lock:
        present = _actions.get(key)
        if present is not None and not present.is_over:
            raise ConflictError(
                "Something else is being done there",
                value=f"{subject}: {present.name}, begun by {present.actor}",
                allowed="one action at a time",
                next_step="wait until it has ended",
            )
        action = LongAction(name, actor, utc_now(), _pool.submit(do))
        _actions[key] = action
    action.future.add_done_callback(lambda _: _end(action))


def newest(services: Services, subject: str) -> LongAction | None:
    """What goes on over the subject, or how the last one ended, while that is news."""
    action = _actions.get((installation_of(services), subject))
    if action is None or (action.ended_at is not None and utc_now() - action.ended_at > TOLD_FOR):
        return None
    return action


def forget(services: Services, subject: str) -> None:
    """What ended is no news any more: something else was done since."""
    with _lock:
        key = (installation_of(services), subject)
        action = _actions.get(key)
        if action is not None and action.is_over:
            del _actions[key]


def _end(action: LongAction) -> None:
    action.ended_at = utc_now()
