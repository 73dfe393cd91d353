"""Which encoding a text file is in: UTF-8, UTF-16 with its mark, or CP949 (Korean Windows)."""

import codecs
from collections.abc import Iterable

from contracts.errors import InvalidDataError

_WINDOW_BYTES = 16 << 20
"""So much after the first byte that is not UTF-8 is decoded both ways: enough lines to tell, cheap enough to read."""


def detect_encoding(blocks: Iterable[bytes], name: str) -> str:
    """Python's name of the encoding of a text that comes in blocks.

    Where neither UTF-8 nor CP949 fits every byte, the one that spoils fewer lines is taken: the spoilt lines are
    quarantined row by row later. Raises InvalidDataError for a binary file.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    marked = False
    first = True
    window: list[bytes] = []
    room = _WINDOW_BYTES
    for block in blocks:
        if first and block:
            first = False
            if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            _refuse_binary(block[:8192], name)
            marked = block.startswith(codecs.BOM_UTF8)
            if marked:
                return "utf-8-sig"
        if not window:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                # what the decoder kept from the block before is the start of a character: at most three bytes
                block = decoder.getstate()[0] + block
            else:
                continue
        window.append(block[:room])
        room -= len(block)
        if room <= 0:
            break
    if not window:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            window.append(decoder.getstate()[0])
        else:
            return "utf-8"
    lines = b"".join(window).split(b"\n")
    return "utf-8" if _spoilt(lines, "utf-8") <= _spoilt(lines, "cp949") else "cp949"


def _refuse_binary(start: bytes, name: str) -> None:
    if b"\0" not in start and not start.startswith(b"PK\x03\x04"):
        return
    kind = "a zip or Excel file" if start.startswith(b"PK") else "a binary file"
    raise InvalidDataError(
        f"The file is not text but looks like {kind}",
        value=name,
        allowed="text in UTF-8 or CP949, Parquet with the ending .parquet, Excel with the ending .xlsx",
        next_step="correct its ending, or export it again, from Excel as 'CSV UTF-8'",
    )


def _spoilt(lines: list[bytes], encoding: str) -> int:
    spoilt = 0
    for line in lines:
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            spoilt += 1
    return spoilt


def has_undecodable_bytes(text: str) -> bool:
    """The text holds half characters: bytes kept by `surrogateescape`, or a lone surrogate of a JSON escape."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def printable(text: str, encoding: str) -> str:
    """The text with undecodable bytes written as hexadecimal escapes, fit for a UTF-8 file."""
    if not has_undecodable_bytes(text):
        return text
    codec = "utf-8" if encoding == "utf-8-sig" else encoding
    try:
        return text.encode(codec, "surrogateescape").decode(codec, "backslashreplace")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
