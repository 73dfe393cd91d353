"""What somebody may do in Airflow: asked of the policies, and remembered for the moment that a page takes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from contracts.access import Ownership, ResourceKind
from security.access.decisions import BlockingPolicyDecisions
from security.identity.scopes import covers
from stages.permissions import MOST_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Collection

    from contracts.identity import Principal
    from settings import Settings

DAG_ACTIONS = ("read", "read_logs", "trigger", "operate", "change", "answer")
AIRFLOW_ACTIONS = ("read", "look_inside", "announce", "configure")
ANY = "any"
"""All DAGs at once, or Airflow itself."""
REMEMBERED_SECONDS = 2.0
MOST_REMEMBERED = 5000


class Rights:
    """The actions that the policies allow, by person and thing. Raises UnavailableError where there is no decision."""

    def __init__(self, settings: Settings) -> None:
        self._decisions = BlockingPolicyDecisions(settings.policy_url, settings.policy_timeout_seconds)
        self._lock = threading.Lock()
        self._remembered: dict[tuple[str, str, ResourceKind, str], tuple[float, frozenset[str]]] = {}

    def may(self, principal: Principal, kind: ResourceKind, action: str, name: str = ANY) -> bool:
        """Whether the principal may do it to the DAG of that name, or to Airflow."""
        return name in self.those_who_may_be(principal, kind, action, [name])

    def those_who_may_be(
        self, principal: Principal, kind: ResourceKind, action: str, names: Collection[str]
    ) -> frozenset[str]:
        """Those of the things to which the principal may do it: one question for fifty of them."""
        if not covers(principal.scopes, kind.value, action):
            return frozenset()
        now = time.monotonic()
        who = principal.username, f"{principal.role.value}|{'|'.join(sorted(principal.projects))}"
        with self._lock:
            known = {
                name: actions
                for name in names
                for until, actions in [self._remembered.get((*who, kind, name), (0.0, frozenset[str]()))]
                if until > now
            }
        unknown = sorted(set(names) - known.keys())
        for start in range(0, len(unknown), MOST_AT_ONCE):
            asked = unknown[start : start + MOST_AT_ONCE]
            actions = DAG_ACTIONS if kind is ResourceKind.DAG else AIRFLOW_ACTIONS
            questions = [(Ownership(kind=kind, resource_id=name), actions) for name in asked]
            known.update(zip(asked, self._decisions.allowed(principal, questions), strict=True))
        with self._lock:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered.update({(*who, kind, name): (now + REMEMBERED_SECONDS, known[name]) for name in unknown})
        return frozenset(name for name in names if action in known[name])

    def may_with_thing(self, principal: Principal, thing: Ownership, action: str) -> bool:
        """Whether the principal may do it to a thing of the platform, with its owner and those who had it trained."""
        if not covers(principal.scopes, thing.kind.value, action):
            return False
        (allowed,) = self._decisions.allowed(principal, [(thing, [action])])
        return action in allowed
