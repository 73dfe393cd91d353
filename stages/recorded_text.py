"""What users asked, were answered and commented: how it is stored in `ab_test_logs`, and read again.

Everything that reads these columns goes through `opened`; values of before encryption are read as they are.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from contracts.errors import DamagedFileError, InvalidDataError
from settings.encryption import TRAFFIC_SCOPE, use_encryption
from storage.encryption.pieces import MARK, Piece, framed, pieces_of
from storage.encryption.values import PREFIX, is_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from settings import Settings
    from storage.encryption.values import ValueCipher

COLUMNS = frozenset({"query", "response", "user_feedback"})
_JOURNAL = "events"
_SEALED_LINE = PREFIX.encode()
"""How a journal begins that an earlier version of the service left: each piece is a line of text."""


class RecordedText:
    """Text columns of `ab_test_logs` under the setting `recorded_text`, and the journal before them."""

    def __init__(self, settings: Settings) -> None:
        self._policy = settings.recorded_text
        self._installation = use_encryption(settings)

    def kept(self, column: str, request_id: str, text: str) -> str:
        """What the column of that answer's row is to hold: sealed text that opens in this place only, or nothing."""
        return self.all_kept(column, [request_id], [text.encode()])[0]

    def all_kept(self, column: str, request_ids: Sequence[str], texts: Sequence[bytes]) -> list[str]:
        """The same of many rows: each request id, and its text in UTF-8."""
        if self._policy == "none":
            return [""] * len(texts)
        if self._policy == "masked":
            masked = self.policy_applied([text.decode() for text in texts])
            texts = [text.encode() for text in masked]
        if not self._installation.encrypts:
            return [text.decode() for text in texts]
        sealed = self._cipher.seal_all(list(zip(request_ids, texts, strict=True)), _place(column, ""))
        # no text stays none, for whoever counts what was said
        return sealed if all(texts) else [one if text else "" for one, text in zip(sealed, texts, strict=True)]

    def opened(self, column: str, request_id: str, stored: str) -> str:
        """The text that was kept. Raises KeyUnavailableError where its key was erased, DamagedFileError."""
        return self._cipher.open(stored, _place(column, request_id)).decode() if is_sealed(stored) else stored

    def seal_events(self, lines: bytes) -> bytes:
        """Events as a piece of the journal."""
        return framed(self._cipher.seal_bytes(lines, _JOURNAL)) if self._installation.encrypts else lines

    def opened_events(self, written: bytes) -> Iterator[Piece]:
        """A segment of the journal before it was sealed; one that never was is as it is."""
        if written.startswith(_SEALED_LINE):
            for line in written.splitlines():
                yield self._opened_piece(line, self._open_line)
        elif written.startswith(MARK):
            opened = self._cipher.opener(_JOURNAL)
            for piece in pieces_of(written):
                yield self._opened_piece(piece.content, opened) if piece.is_whole else piece
        else:
            yield Piece(written, is_whole=True)

    def _opened_piece(self, sealed: bytes, opened: Callable[[bytes], bytes]) -> Piece:
        try:
            return Piece(opened(sealed), is_whole=True)
        except DamagedFileError:
            return Piece(sealed, is_whole=False)

    def _open_line(self, line: bytes) -> bytes:
        return self._cipher.open(line.decode("ascii", errors="replace"), _JOURNAL)

    def policy_applied(self, texts: list[str]) -> list[str]:
        """What was kept under another policy before, as it may be used under the present one."""
        if self._policy != "masked":
            return texts
        from data_prep.masking.masker import mask

        return [masked.text for masked in mask(texts)]

    @cached_property
    def _cipher(self) -> ValueCipher:
        return self._installation.cipher(TRAFFIC_SCOPE)


def _place(column: str, request_id: str) -> str:
    if column not in COLUMNS:
        raise InvalidDataError("There is no such text column", value=column, allowed=", ".join(sorted(COLUMNS)))
    return f"ab_test_logs/{column}/{request_id}"
