"""What PostgreSQL said last, on the disk: a router that starts again answers at once, and also while PostgreSQL is away.

A router that goes on running holds what it knows for as long as it must; one that starts does not know what happened while it
was away, so it takes only what is younger than MAX_AGE_SECONDS, and only until PostgreSQL answers, which takes some 3 s.
"""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from serving_api.serving_state import ServingState
from storage.files import write_bytes_atomically

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 600.0


class RememberedState:
    """One file, for its owner only: it has digests of keys, and users by their pseudonyms."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self) -> ServingState | None:
        """What was kept, if PostgreSQL confirmed it a short while ago."""
        try:
            age_s = time.time() - self._path.stat().st_mtime
            # a clock that was set back makes no old state a new one
            if not 0 <= age_s <= MAX_AGE_SECONDS:
                return None
            return ServingState.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            log.warning("what PostgreSQL said before cannot be read from %s: %s", self._path, error)
            return None

    def keep(self, state: ServingState, pins: Mapping[int, dict[str, str]]) -> None:
        """Write the state with all pins of its experiments. Blocks; a full disk only costs the next start its haste."""
        try:
            content = state.model_copy(update={"pins": pins}).model_dump_json().encode()
            write_bytes_atomically(self._path, content, mode=0o600)
        except OSError as error:
            log.warning("what PostgreSQL says cannot be kept in %s: %s", self._path, error)

    def confirm(self) -> None:
        """PostgreSQL has said the same again."""
        try:
            os.utime(self._path)
        except OSError:
            # removed, or never written: the next change writes it
            return
