"""A folder of documents, read one after another: what cannot be read is told and stops nothing."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import InvalidDataError, InvalidRequestError, NotFoundError, TunewayError
from contracts.record import JsonObject
from data_prep.documents.chunks import Document
from data_prep.documents.reading import SUFFIXES, read_document

OnProgress = Callable[[str, int, int], None]
"""Called with (what is being done, files done, files in all)."""

_LEFT_OUT_PREFIXES = (".", "~$", "__MACOSX")
"""Hidden files, and what Word and macOS leave behind."""


@dataclass(frozen=True, slots=True)
class UnreadDocument:
    """A file of the folder of which there is no document, and why."""

    name: str
    error: TunewayError | None
    """What is wrong with it; None where it is only left out."""
    reason: str
    """One sentence for the report."""

    def as_record(self) -> JsonObject:
        """For a report."""
        return {"document": self.name, "is_error": self.error is not None, "reason": self.reason}


def documents_in(folder: Path, on_closed: Callable[[Path], None] | None = None) -> list[Path]:
    """The files below a folder in the order of their names; links out of the folder are not followed.

    `on_closed` is told of each folder inside that may not be looked into.
    Raises NotFoundError where there is no such folder, and InvalidRequestError where it holds no file.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise NotFoundError("There is no such folder", value=folder.name, next_step="correct the path of the documents")
    root = folder.resolve()
    found: list[tuple[str, Path]] = []

    def closed(error: OSError) -> None:
        if on_closed is not None:
            on_closed(Path(error.filename or root))

    for parent, folders, files in os.walk(root, onerror=closed):
        folders[:] = sorted(name for name in folders if not name.startswith(_LEFT_OUT_PREFIXES))
        for file in files:
            path = Path(parent) / file
            if file.startswith(_LEFT_OUT_PREFIXES) or not path.resolve().is_relative_to(root):
                continue
            found.append((name_below(root, path), path))
    if not found:
        raise InvalidRequestError(
            "The folder holds no documents",
            value=folder.name,
            allowed=", ".join(SUFFIXES),
            next_step="put the documents there, or name another folder",
        )
    return [path for _, path in sorted(found)]


def name_below(folder: Path, path: Path) -> str:
    """How reports call a file: its path below the folder, the same on every system."""
    return unicodedata.normalize("NFC", path.relative_to(folder).as_posix())


def read_folder(folder: Path, on_progress: OnProgress | None = None) -> Iterator[Document | UnreadDocument]:
    """Every file below a folder: a Document, or an UnreadDocument with the reason. One document is in memory at a time.

    Of files with the same content the first is read. A file whose name ends like none that is read is left out.
    """
    closed: list[Path] = []
    paths = documents_in(folder, closed.append)
    root = folder.parent if folder.is_file() else folder.resolve()
    for path in closed:
        error = InvalidDataError(
            "The folder may not be looked into",
            value=name_below(root, path),
            allowed="folders that this account may read",
            next_step="check its permissions",
        )
        yield UnreadDocument(name_below(root, path), error, error.sentence())
    first_with: dict[str, str] = {}
    for done, path in enumerate(paths):
        name = name_below(root, path)
        if on_progress is not None:
            on_progress(f"read {name}", done, len(paths))
        if path.suffix.lower() not in SUFFIXES and not folder.is_file():
            yield UnreadDocument(name, None, f"left out: {path.suffix or 'no'} ending is none of {', '.join(SUFFIXES)}")
            continue
        try:
            document = read_document(path, name)
        except TunewayError as error:
            yield UnreadDocument(name, error, error.sentence())
            continue
        same = first_with.setdefault(document.sha256, name)
        if same != name:
            yield UnreadDocument(name, None, f"left out: same content as {same}")
            continue
        yield document
    if on_progress is not None:
        on_progress("documents read", len(paths), len(paths))
