"""A journal of what is made from recorded texts, sealed as these are in `ab_test_logs`."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from contracts.errors import KeyUnavailableError
from settings.encryption import TRAFFIC_SCOPE, use_encryption
from storage.journal import KeyedJournal

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.errors import ConflictError
    from settings import Settings
    from storage.encryption.values import ValueCipher


class RecordedJournal(KeyedJournal):
    """Entries open in their own file only, and not at all once the key of recorded texts is erased."""

    def __init__(self, path: Path, in_use: ConflictError, settings: Settings) -> None:
        self._installation = use_encryption(settings)
        super().__init__(path, in_use)

    def add(self, key: str, entry: dict[str, Any], *, sync: bool = True) -> None:
        """Keep an entry, sealed."""
        if self._installation.encrypts:
            entry = {"sealed": self._cipher.seal(json.dumps(entry).encode(), self._place(key))}
        super().add(key, entry, sync=sync)

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of the key; None where there is none, or where its key was erased with the texts it came from."""
        entry = super().get(key)
        if entry is None or "sealed" not in entry:
            return entry
        try:
            opened: dict[str, Any] = json.loads(self._cipher.open(entry["sealed"], self._place(key)))
        except KeyUnavailableError:
            return None
        return opened

    def _place(self, key: str) -> str:
        return f"{self._path.parent.name}/{self._path.name}/{key}"

    @cached_property
    def _cipher(self) -> ValueCipher:
        return self._installation.cipher(TRAFFIC_SCOPE)
