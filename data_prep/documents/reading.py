"""Documents of every kind, read into text with its structure."""

import codecs
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from contracts.errors import InvalidDataError, NotFoundError, TunewayError
from data_prep.documents.chunks import Block, Document
from data_prep.documents.problems import broken, has_no_text, needs_password, too_large
from data_prep.documents.structure import with_structure
from storage.files import sha256_of_file

MAX_DOCUMENT_BYTES = 512 << 20
SUFFIXES = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".hwpx": "hwpx",
    ".hwp": "hwp",
}
"""Endings of the files that are read, with their format."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_HWP3 = b"HWP Document File V3"
_META_ENCODING = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_\-:]{2,40})""", re.IGNORECASE)
_KOREAN_ENCODINGS = frozenset(
    {"euc-kr", "euckr", "ks_c_5601-1987", "ks_c_5601", "ksc5601", "cp949", "ms949", "uhc", "x-windows-949"}
)
_BINARY_SHARE = 0.02
"""More letters than this that fit no encoding: it is not text with a few spoilt bytes."""


def read_document(path: Path, name: str | None = None) -> Document:
    """The document in a file; `name` is how reports call it (the file's name where none is given).

    The format is told by the content where it can be (PDF, DOCX, HWPX, HWP) and by the ending where not.
    Raises a TunewayError that says what to do: unknown format, damaged, password, a scan without text, empty.
    """
    name = name or path.name
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise NotFoundError("This is not a file", value=name, next_step="name a document, or its folder")
        if size == 0:
            raise has_no_text(name)
        if size > MAX_DOCUMENT_BYTES:
            raise too_large(name, "its file", size, MAX_DOCUMENT_BYTES)
        with path.open("rb") as stream:
            start = stream.read(4096)
        file_format = _format_of(path, name, start)
        sha256 = sha256_of_file(path)
    except FileNotFoundError as error:
        raise NotFoundError("There is no such document", value=name, next_step="correct its path") from error
    except OSError as error:
        raise InvalidDataError(
            "The document cannot be opened",
            value=f"{name}: {error.strerror}",
            allowed="a file that this account may read",
            next_step="check its permissions",
        ) from error
    try:
        blocks = _READERS[file_format](path, name)
        structured = with_structure(blocks, signs=file_format in _WITHOUT_HEADINGS)
    except TunewayError:
        raise
    except Exception as error:  # what a parser raises for a file that no program wrote
        raise broken(name, f"{file_format} document", f"{type(error).__name__}: {error}") from error
    if not structured:
        raise has_no_text(name)
    return Document(name, sha256, structured)


def decode(data: bytes, name: str) -> str:
    """The text of bytes in UTF-8, UTF-16 with its mark, or CP949 (Korean Windows)."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if data.startswith(codecs.BOM_UTF8):
        return data[3:].decode("utf-8", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end >= len(data) - 1 and error.reason == "unexpected end of data":
            return data.decode("utf-8", "ignore")  # cut off in the middle of the last letter
    declared = _META_ENCODING.search(data[:4096])
    try:
        return data.decode("cp949")
    except UnicodeDecodeError:
        pass
    if declared is not None and declared[1].decode("ascii").lower() in _KOREAN_ENCODINGS:
        return data.decode("cp949", "replace")
    as_utf8, as_cp949 = data.decode("utf-8", "replace"), data.decode("cp949", "replace")
    better = min((as_utf8, as_cp949), key=lambda text: text.count("\ufffd"))
    if better.count("\ufffd") > _BINARY_SHARE * len(better):
        raise InvalidDataError(
            "The document is neither UTF-8 nor CP949 text",
            value=name,
            allowed="UTF-8 (also UTF-16 with its mark) or CP949",
            next_step="open it in an editor and save it as UTF-8",
        )
    return better


def _format_of(path: Path, name: str, start: bytes) -> str:
    """The format by content, else by ending."""
    # some programs write a line before the mark; a text that speaks of it is no PDF
    if start.startswith(b"%PDF-") or (path.suffix.lower() == ".pdf" and b"%PDF-" in start[:1024]):
        return "pdf"
    if start.startswith(_OLE):
        return _format_in_compound_file(path, name)
    if start.startswith(_HWP3):
        raise InvalidDataError(
            "The document is of HWP 3, the format before the year 2000",
            value=name,
            allowed="HWP 5, HWPX",
            next_step="open it in Hancom's word processor and save it as HWPX",
        )
    if start.startswith(_ZIP):
        return _format_in_archive(path, name)
    by_ending = SUFFIXES.get(path.suffix.lower())
    if by_ending is None:
        raise InvalidDataError(
            "The document's format is not known",
            value=name,
            allowed=", ".join(SUFFIXES),
            next_step="convert it, or correct its ending",
        )
    if by_ending in {"pdf", "docx", "hwpx", "hwp"}:
        raise broken(name, f"{by_ending} document", "its content is of another kind than its ending says")
    if b"\0" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidDataError(
            "The file is not text but binary",
            value=name,
            allowed="text in UTF-8 or CP949",
            next_step="check its ending, or export it as text",
        )
    return by_ending


def _format_in_archive(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise broken(name, "document", error) from error
    if any(member.lower().startswith("contents/section") or member == "Contents/content.hpf" for member in members):
        return "hwpx"
    if any(member.startswith("word/") for member in members):
        return "docx"
    raise InvalidDataError(
        "The archive holds no document that is read",
        value=name,
        allowed="DOCX, HWPX",
        next_step="unpack it and name the folder; tables (XLSX) are imported as a dataset instead",
    )


def _format_in_compound_file(path: Path, name: str) -> str:
    import olefile

    try:
        with olefile.OleFileIO(path) as compound:
            if compound.exists("FileHeader"):
                return "hwp"
            if compound.exists("EncryptedPackage"):
                raise needs_password(name, "Word document")
            is_word = compound.exists("WordDocument")
    except TunewayError:
        raise
    except Exception as error:  # olefile raises whatever its arithmetic meets in a damaged file
        raise broken(name, "document", error) from error
    raise InvalidDataError(
        "The document is in Word's format before 2007" if is_word else "The file is no document that is read",
        value=name,
        allowed=", ".join(SUFFIXES),
        next_step="open it and save it as DOCX",
    )


def _read_text(path: Path, name: str) -> list[Block]:
    from data_prep.documents.plain_text import plain_text_blocks

    return plain_text_blocks(decode(path.read_bytes(), name))


def _read_markdown(path: Path, name: str) -> list[Block]:
    from data_prep.documents.markdown import markdown_blocks

    return markdown_blocks(decode(path.read_bytes(), name))


def _read_html(path: Path, name: str) -> list[Block]:
    from data_prep.documents.html import html_blocks

    return html_blocks(decode(path.read_bytes(), name))


def _read_pdf(path: Path, name: str) -> list[Block]:
    from data_prep.documents.pdf import pdf_blocks

    return pdf_blocks(path, name)


def _read_docx(path: Path, name: str) -> list[Block]:
    from data_prep.documents.docx import docx_blocks

    return docx_blocks(path, name)


def _read_hwpx(path: Path, name: str) -> list[Block]:
    from data_prep.documents.hwpx import hwpx_blocks

    return hwpx_blocks(path, name)


def _read_hwp(path: Path, name: str) -> list[Block]:
    from data_prep.documents.hwp import hwp_blocks

    return hwp_blocks(path, name)


_READERS: dict[str, Callable[[Path, str], list[Block]]] = {
    "markdown": _read_markdown,
    "text": _read_text,
    "html": _read_html,
    "pdf": _read_pdf,
    "docx": _read_docx,
    "hwpx": _read_hwpx,
    "hwp": _read_hwp,
}
_WITHOUT_HEADINGS = frozenset({"text", "pdf"})
"""Formats that cannot mark a heading: short lines that begin with a sign are taken for one."""
