"""Audit trail, accounts and keys."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dashboard import parts
from dashboard.links import pick
from dashboard.views import accounts, api_keys, audit_trail

if TYPE_CHECKING:
    from dashboard.texts import Words
    from dashboard.visits import Visit

PARTS = {"audit": audit_trail.show, "accounts": accounts.show, "keys": api_keys.show}


def show(visit: Visit, words: Words) -> None:
    """Draw the page: one of its parts."""
    part = pick("part", words("administration.part"), list(PARTS), lambda name: words(f"administration.{name}"))
    parts.guarded(partial(PARTS[part], visit, words), words)
