"""Which encoding a text file is in: UTF-8, UTF-16 with its mark, or CP949 (Korean Windows)."""

import codecs
from pathlib import Path

from contracts.errors import InvalidDataError

_BLOCK_BYTES = 1 << 20


def detect_encoding(path: Path) -> str:
    """Python's name of the encoding.

    Where neither UTF-8 nor CP949 fits every byte, the one that spoils fewer lines is taken: the spoilt lines are
    quarantined row by row later. Raises InvalidDataError for a binary file.
    """
    with path.open("rb") as stream:
        start = stream.read(8192)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in start or start.startswith(b"PK\x03\x04"):
        kind = "a zip or Excel file" if start.startswith(b"PK") else "a binary file"
        raise InvalidDataError(
            f"The file is not text but looks like {kind}",
            value=path.name,
            allowed="text in UTF-8 or CP949, or Parquet with the ending .parquet",
            next_step="export it again, from Excel as 'CSV UTF-8'",
        )
    utf8 = "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"
    if utf8 == "utf-8-sig" or _decodes(path, "utf-8"):
        return utf8
    if _decodes(path, "cp949"):
        return "cp949"
    return utf8 if _spoilt_lines(path, "utf-8") <= _spoilt_lines(path, "cp949") else "cp949"


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _spoilt_lines(path: Path, encoding: str) -> int:
    spoilt = 0
    with path.open("rb") as stream:
        for line in stream:
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
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
