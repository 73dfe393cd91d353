"""The passages that a request names: documents read and cut, Qdrant points as they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import InvalidDataError, InvalidRequestError
from contracts.generation import GenerateRequest, SkippedDocument, SourceDocument
from data_prep.documents.chunking import MIN_CHARACTERS, chunk_document
from data_prep.documents.chunks import Chunk, Document
from data_prep.documents.folder import UnreadDocument, read_folder
from data_prep.documents.reading import read_document
from data_prep.imports.input_files import resolve_input_file
from data_prep.rows import OnProgress


@dataclass(frozen=True, slots=True)
class Passages:
    """Everything there is to ask about, in the order of the documents."""

    chunks: tuple[Chunk, ...]
    documents: tuple[SourceDocument, ...]
    skipped: tuple[SkippedDocument, ...]
    """Files of a folder that could not be read or were left out; a document named by itself is an error instead."""


def read_passages(
    request: GenerateRequest,
    *,
    relative_to: Path,
    allowed_roots: Sequence[Path],
    qdrant_api_key: str = "",
    on_progress: OnProgress | None = None,
) -> Passages:
    """Read and cut what the request names. Raises InvalidRequestError or InvalidDataError, naming the file."""
    chunks: list[Chunk] = []
    documents: list[SourceDocument] = []
    skipped: list[SkippedDocument] = []
    for document in _documents(request.documents, relative_to, allowed_roots, on_progress):
        if isinstance(document, UnreadDocument):
            skipped.append(SkippedDocument(name=document.name, reason=document.reason))
            continue
        cut = chunk_document(
            document,
            max_characters=request.max_chunk_characters,
            overlap=request.chunk_overlap,
            min_characters=min(MIN_CHARACTERS, request.max_chunk_characters),
        )
        taken = [chunk for chunk in cut if len(chunk.text) >= request.min_chunk_characters]
        documents.append(SourceDocument(name=document.name, sha256=document.sha256, chunks=len(taken)))
        chunks += taken
    if request.qdrant is not None:
        _require_allowed(request.qdrant.path, relative_to, allowed_roots)
        chunks += _points(request, qdrant_api_key, documents, on_progress)
    if request.max_chunks is not None:
        chunks = chunks[: request.max_chunks]
    if not chunks:
        raise InvalidDataError(
            "The documents hold no passage to ask about",
            value=", ".join(f"{document.name}: {document.reason}" for document in skipped[:5]) or request.documents,
            allowed=f"passages of {request.min_chunk_characters} characters and more",
            next_step="check the documents, or lower min_chunk_characters",
        )
    return Passages(tuple(chunks), tuple(documents), tuple(skipped))


def _require_allowed(folder: str | None, relative_to: Path, allowed_roots: Sequence[Path]) -> None:
    """A database of qdrant-client's local mode lies where files may be read."""
    if folder is None:
        return
    path = (relative_to / folder).resolve()
    if not any(path.is_relative_to(root.resolve()) for root in allowed_roots):
        raise InvalidRequestError(
            "The Qdrant database lies outside the folders from which files may be read",
            value=folder,
            allowed=", ".join(str(root) for root in allowed_roots),
            next_step="copy it into one of these folders, or add its folder to the setting TUNEWAY_INPUT_ROOTS",
        )


def _points(
    request: GenerateRequest,
    api_key: str,
    documents: list[SourceDocument],
    on_progress: OnProgress | None,
) -> list[Chunk]:
    from data_prep.documents.qdrant import read_qdrant

    assert request.qdrant is not None
    taken: list[Chunk] = []
    counts: dict[tuple[str, str], int] = {}
    for chunk in read_qdrant(request.qdrant, api_key=api_key):
        if len(chunk.text) < request.min_chunk_characters:
            continue
        taken.append(chunk)
        key = (chunk.document, chunk.document_sha256)
        counts[key] = counts.get(key, 0) + 1
        if on_progress is not None and len(taken) % 1000 == 0:
            on_progress(f"reading {request.qdrant.collection}", len(taken), len(taken))
    documents += [SourceDocument(name=name, sha256=sha256, chunks=n) for (name, sha256), n in counts.items()]
    return taken


def resolve_documents(given: Sequence[str], *, relative_to: Path, allowed_roots: Sequence[Path]) -> list[Path]:
    """The files and folders of these names. Raises InvalidRequestError for the first that is not there or not allowed."""
    roots = [root.resolve() for root in allowed_roots]
    found = []
    for name in given:
        path = (relative_to / Path(name).expanduser()).resolve()
        if not (path.is_dir() and any(path.is_relative_to(root) for root in roots)):
            path = resolve_input_file(name, relative_to=relative_to, allowed_roots=allowed_roots)
        found.append(path)
    return found


def _documents(
    given: Sequence[str], relative_to: Path, allowed_roots: Sequence[Path], on_progress: OnProgress | None
) -> Iterator[Document | UnreadDocument]:
    """Every document once, whichever of the given names leads to it; a file named by itself must be readable."""
    seen: set[str] = set()
    for path in resolve_documents(given, relative_to=relative_to, allowed_roots=allowed_roots):
        found = read_folder(path, on_progress) if path.is_dir() else iter([read_document(path)])
        for document in found:
            if isinstance(document, Document):
                if document.sha256 in seen:
                    continue
                seen.add(document.sha256)
            yield document
