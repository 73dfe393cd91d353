"""What users asked, were answered and commented: how it is stored in `ab_test_logs`, and read again.

Everything that reads these columns goes through `opened`; values of before encryption are read as they are.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from contracts.errors import InvalidDataError
from settings.encryption import TRAFFIC_SCOPE, use_encryption
from storage.encryption.values import is_sealed

if TYPE_CHECKING:
    from settings import Settings
    from storage.encryption.values import ValueCipher

COLUMNS = frozenset({"query", "response", "user_feedback"})
_JOURNAL = "events"


class RecordedText:
    """Text columns of `ab_test_logs` under the setting `recorded_text`, and the lines of the journal before them."""

    def __init__(self, settings: Settings) -> None:
        self._policy = settings.recorded_text
        self._installation = use_encryption(settings)

    def kept(self, column: str, request_id: str, text: str) -> str:
        """What the column of that answer's row is to hold: sealed text that opens in this place only, or nothing."""
        if self._policy == "none" or not text:
            return ""
        if self._policy == "masked":
            from data_prep.masking.masker import mask

            text = mask([text])[0].text
        return self._cipher.seal(text.encode(), _place(column, request_id)) if self._installation.encrypts else text

    def opened(self, column: str, request_id: str, stored: str) -> str:
        """The text that was kept. Raises KeyUnavailableError where its key was erased, DamagedFileError."""
        return self._cipher.open(stored, _place(column, request_id)).decode() if is_sealed(stored) else stored

    def seal_lines(self, lines: bytes) -> bytes:
        """Events for the journal, as one line."""
        return self._cipher.seal(lines, _JOURNAL).encode() + b"\n" if self._installation.encrypts else lines

    def open_line(self, line: bytes) -> bytes:
        """The events of a line that `seal_lines` made. Raises DamagedFileError where the line was cut off."""
        return self._cipher.open(line.decode("ascii", errors="replace"), _JOURNAL)

    @cached_property
    def _cipher(self) -> ValueCipher:
        return self._installation.cipher(TRAFFIC_SCOPE)


def _place(column: str, request_id: str) -> str:
    if column not in COLUMNS:
        raise InvalidDataError("There is no such text column", value=column, allowed=", ".join(sorted(COLUMNS)))
    return f"ab_test_logs/{column}/{request_id}"
