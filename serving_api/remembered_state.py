"""What PostgreSQL said last, on the disk: a router that starts again answers at once, and also while PostgreSQL is away.

A router that goes on running holds what it knows for as long as it must; one that starts does not know what happened while it
was away, so it takes only what is younger than MAX_AGE_SECONDS, and only until PostgreSQL answers, which takes some 3 s.
"""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
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
        self._kept: ServingState | None = None
        self._is_failing = False

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
            if not self._is_failing:
                log.warning("what PostgreSQL says cannot be kept in %s: %s", self._path, error)
            self._is_failing, self._kept = True, None
            # what is there would be taken for what holds now
            with suppress(OSError):
                self._path.unlink()
        else:
            self._is_failing, self._kept = False, _without_pins(state)

    def confirm(self, state: ServingState) -> bool:
        """Whether this is what was kept, but for pins that came since: then its age begins anew."""
        if _without_pins(state) != self._kept:
            return False
        try:
            os.utime(self._path)
        except OSError:
            # removed
            return False
        return True


def _without_pins(state: ServingState) -> ServingState:
    """What differs only where questions go elsewhere, or other keys are good."""
    return state.model_copy(update={"pins": {}, "is_behind": False})
