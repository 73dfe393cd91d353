"""Passages out of a Qdrant collection: of a server, or of a folder of qdrant-client's local mode."""

import difflib
import hashlib
import json
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from contracts.documents import QdrantSource
from contracts.errors import InvalidDataError, InvalidRequestError, NotFoundError, TunewayError, UnavailableError
from contracts.record import JsonObject
from data_prep.documents.chunks import Chunk, chunk_id_of
from data_prep.documents.structure import article_name
from data_prep.documents.texts import clean

BATCH_POINTS = 256
ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 60.0
"""However long a server asks to wait."""

_TEXT_FIELDS = ("text", "page_content", "content", "document", "chunk", "chunk_text", "body", "passage", "본문", "내용")
_DOCUMENT_FIELDS = (
    "document_name", "source", "metadata.source", "file_name", "metadata.file_name", "filename", "meta.file_path",
    "meta.name", "file_path", "document_id", "doc_id", "title", "metadata.title", "문서명",
)  # fmt: skip
_HEADING_FIELDS = ("heading_path", "headings", "metadata.headings", "section", "heading", "metadata.section")
_ARTICLE_FIELDS = ("article", "metadata.article", "조문")
_PAGE_FIELDS = ("page", "metadata.page", "page_number", "metadata.page_number", "page_label", "meta.page_number")
_START_FIELDS = ("start", "metadata.start_index", "start_index", "start_char_idx", "meta.split_idx_start", "start_char")
_SHA256_FIELDS = ("document_sha256", "sha256", "metadata.document_sha256")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOCKED = "already accessed"
_LOOKED_AT = 32
"""Points in which the field of the text is looked for."""


def read_qdrant(source: QdrantSource, api_key: str = "") -> Iterator[Chunk]:
    """The passages of a collection, in the order of the points' ids; each text of a document once, empty ones left out.

    `start` is where the payload says the passage begins in its document (0 where it does not); the whole payload is
    kept in `Chunk.payload`. A server that does not answer is asked ATTEMPTS times. Raises NotFoundError for an unknown
    collection, InvalidDataError where no point holds a text in the field, UnavailableError where nobody answers.
    """
    client = _client(source, api_key)
    try:
        _require_collection(client, source)
        yield from _chunks(client, source)
    finally:
        with suppress(Exception):
            client.close()


def _client(source: QdrantSource, api_key: str) -> Any:
    from qdrant_client import QdrantClient

    with warnings.catch_warnings():
        # a key over http is usual inside an organisation's network, and many points only make the local mode slow
        warnings.simplefilter("ignore", UserWarning)
        return _opened(QdrantClient, source, api_key)


def _opened(client: Any, source: QdrantSource, api_key: str) -> Any:
    if source.url is not None:
        try:
            return client(url=source.url, api_key=api_key or None, timeout=30, check_compatibility=False)
        except Exception as error:  # what the parts of an address give that is none
            raise InvalidRequestError(
                "The address of the Qdrant server cannot be used",
                value=f"{source.url}: {type(error).__name__}",
                allowed="http://HOST:6333 or https://HOST:6333, and a key of letters and digits",
                next_step="correct the address, or the key",
            ) from error
    assert source.path is not None
    if not (Path(source.path) / "meta.json").is_file():
        # the client would make an empty database there
        raise NotFoundError(
            "There is no Qdrant database in this folder",
            value=source.path,
            allowed="a folder that qdrant-client wrote in local mode (it holds meta.json)",
            next_step="correct the path, or give the address of the server as url",
        )
    try:
        return client(path=source.path)
    except RuntimeError as error:
        if _LOCKED in str(error):
            raise UnavailableError(
                "Another program has the Qdrant database open",
                value=source.path,
                allowed="one program at a time in local mode",
                next_step="close it there, or read from a server",
            ) from error
        raise _broken_database(source, error) from error
    except Exception as error:  # whatever its JSON, SQLite and pickled points give
        raise _broken_database(source, error) from error


def _broken_database(source: QdrantSource, error: Exception) -> InvalidDataError:
    return InvalidDataError(
        "The Qdrant database cannot be read",
        value=f"{source.path}: {type(error).__name__}: {error}"[:300],
        allowed="a whole database of local mode",
        next_step="copy it again while no program has it open",
    )


def _require_collection(client: Any, source: QdrantSource) -> None:
    names = sorted(collection.name for collection in _asked(source, client.get_collections).collections)
    if source.collection not in names:
        close = difflib.get_close_matches(source.collection, names, n=3)
        raise NotFoundError(
            "There is no such Qdrant collection",
            value=source.collection,
            allowed=", ".join(names[:20]) or "the database has none",
            next_step=f"did you mean {' or '.join(close)}?" if close else "correct the name of the collection",
        )


def _chunks(client: Any, source: QdrantSource) -> Iterator[Chunk]:
    offset: Any = None
    text_field = source.text_field
    seen: set[str] = set()
    points_read = with_text = 0
    fields: set[str] = set()
    while True:
        points, offset = _page(client, source, offset)
        payloads = [_with_inner_objects(point.payload or {}) for point in points]
        fields.update(field for payload in payloads[:_LOOKED_AT] for field in payload)
        if text_field is None:
            text_field = _found_field(payloads, _TEXT_FIELDS)
        for payload in payloads:
            if source.max_points is not None and points_read >= source.max_points:
                return
            points_read += 1
            text = _text(payload, text_field)
            if not text:
                continue
            with_text += 1
            chunk = _chunk(payload, text, source)
            if chunk.chunk_id not in seen:
                seen.add(chunk.chunk_id)
                yield chunk
        if offset is None:
            break
    if not with_text:
        raise InvalidDataError(
            "No point of the Qdrant collection holds a text",
            value=f"{source.collection}: {points_read} points, field {text_field or 'not found'}",
            allowed=f"fields of the payload: {', '.join(sorted(fields)[:20]) or 'none'}",
            next_step="name the field of the text as text_field",
        )


def _page(client: Any, source: QdrantSource, offset: Any) -> tuple[Sequence[Any], Any]:
    points, following = _asked(
        source,
        lambda: client.scroll(
            source.collection, limit=BATCH_POINTS, offset=offset, with_payload=True, with_vectors=False
        ),
    )
    return points, following


def _asked(source: QdrantSource, ask: Callable[[], Any]) -> Any:
    """The answer, after some patience; errors of the client as ours."""
    from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    wait = FIRST_WAIT_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except UnexpectedResponse as error:
            if error.status_code in {401, 403}:
                raise InvalidRequestError(
                    "The Qdrant server refuses the key",
                    value=f"{source.url}: HTTP {error.status_code}",
                    allowed="a key that may read the collection",
                    next_step="set the right key",
                ) from error
            if error.status_code is not None and error.status_code < 500 and error.status_code != 429:
                raise _refused(source, f"HTTP {error.status_code} {error.reason_phrase}") from error
            problem: Exception = error
        except ResponseHandlingException as error:
            if isinstance(error.source, ValueError):  # an answer in another form
                raise _refused(source, str(error.source)) from error
            problem = error
        except ResourceExhaustedResponse as error:
            problem = error
            wait = max(wait, min(float(error.retry_after_s), MAX_WAIT_SECONDS))
        except (ValueError, QdrantException) as error:  # an answer that is no JSON, a wait that is no number
            raise _refused(source, f"{type(error).__name__}: {error}") from error
        if attempt < ATTEMPTS:
            time.sleep(wait)
            wait *= 2
    raise UnavailableError(
        "The Qdrant server does not answer",
        value=f"{source.url}: {str(problem)[:200]}",
        allowed=f"an answer in {ATTEMPTS} attempts",
        next_step="check the address and that the server runs",
    ) from problem


def _refused(source: QdrantSource, reason: str) -> TunewayError:
    return InvalidDataError(
        "The Qdrant server's answer cannot be used",
        value=f"{source.url or source.path}: {reason[:200]}",
        allowed="the answer of a Qdrant server, version 1.7 or later",
        next_step="check that the address is that of Qdrant's REST interface (port 6333 as a rule)",
    )


def _with_inner_objects(payload: JsonObject) -> JsonObject:
    """The payload; LlamaIndex keeps the passage as JSON text in `_node_content`."""
    inner = payload.get("_node_content")
    if not isinstance(inner, str):
        return payload
    try:
        node = json.loads(inner)
    except (json.JSONDecodeError, RecursionError):
        return payload
    return {**node, **payload} if isinstance(node, dict) else payload


def _found_field(payloads: Sequence[JsonObject], names: Sequence[str]) -> str | None:
    """The first name under which a payload holds a text."""
    for name in names:
        if any(isinstance(value, str) and value.strip() for value in (_value(p, name) for p in payloads)):
            return name
    return None


def _value(payload: JsonObject, field: str) -> JsonValue:
    """A value by its key, or by the keys of objects in objects with dots between them."""
    if field in payload:
        return payload[field]
    value: JsonValue = payload
    for key in field.split("."):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _first(payload: JsonObject, given: str | None, names: Sequence[str]) -> JsonValue:
    for name in [given] if given else names:
        value = _value(payload, name)
        if value is not None and value != "":
            return value
    return None


def _text(payload: JsonObject, field: str | None) -> str:
    value = _value(payload, field) if field else None
    if not isinstance(value, str) or not value.strip():
        return ""
    # as it is, for where it begins and ends was counted in it; without half characters
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _chunk(payload: JsonObject, text: str, source: QdrantSource) -> Chunk:
    name = _first(payload, source.document_field, _DOCUMENT_FIELDS)
    document = clean(str(name)) if isinstance(name, str | int) else ""
    start = _whole_number(_first(payload, source.start_field, _START_FIELDS)) or 0
    given = _first(payload, None, _SHA256_FIELDS)
    sha256 = given if isinstance(given, str) and _SHA256.fullmatch(given) else _sha256_of(document, text)
    headings = _first(payload, source.heading_field, _HEADING_FIELDS)
    path = tuple(clean(str(part)) for part in headings) if isinstance(headings, list) else ()
    if isinstance(headings, str) and clean(headings):
        path = (clean(headings),)
    article = _first(payload, source.article_field, _ARTICLE_FIELDS)
    return Chunk(
        chunk_id_of(sha256, start, start + len(text), text),
        document or source.collection,
        sha256,
        start,
        start + len(text),
        text,
        tuple(part for part in path if part),
        clean(article) if isinstance(article, str) else article_name(text),
        _whole_number(_first(payload, source.page_field, _PAGE_FIELDS)),
        payload=payload,
    )


def _sha256_of(document: str, text: str) -> str:
    return hashlib.sha256(f"{document}\x00{text}".encode("utf-8", "replace")).hexdigest()


def _whole_number(value: JsonValue) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else None
