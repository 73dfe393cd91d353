"""Passages out of Qdrant: local mode, and the REST interface answered by a server over a database in memory."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from qdrant_client import QdrantClient
from qdrant_client.models import Distance, PointStruct, VectorParams

from contracts.documents import QdrantSource
from contracts.errors import InvalidDataError, InvalidRequestError, NotFoundError, UnavailableError
from data_prep.documents import qdrant
from data_prep.documents.chunks import Chunk
from data_prep.documents.qdrant import read_qdrant

COLLECTION = "규정"


def fill(client: QdrantClient, payloads: list[dict[str, Any]], collection: str = COLLECTION) -> None:
    client.create_collection(collection, vectors_config=VectorParams(size=2, distance=Distance.COSINE))
    if payloads:
        client.upsert(
            collection, [PointStruct(id=index, vector=[0.1, 0.2], payload=one) for index, one in enumerate(payloads, 1)]
        )


def local(folder: Path, payloads: list[dict[str, Any]]) -> QdrantSource:
    client = QdrantClient(path=str(folder))
    fill(client, payloads)
    client.close()
    return QdrantSource(collection=COLLECTION, path=str(folder))


def read(source: QdrantSource, api_key: str = "") -> list[Chunk]:
    return list(read_qdrant(source, api_key))


@pytest.mark.parametrize(
    ("payload", "document", "start", "page"),
    [
        ({"page_content": "글", "metadata": {"source": "a.pdf", "page": 3, "start_index": 7}}, "a.pdf", 7, 3),
        ({"_node_content": json.dumps({"text": "글", "start_char_idx": 5}), "file_name": "b.md"}, "b.md", 5, None),
        ({"content": "글", "meta": {"file_path": "c.txt", "page_number": 2}}, "c.txt", 0, 2),
        ({"document": "글", "source": "d.html"}, "d.html", 0, None),
        ({"text": "글", "start": "12"}, COLLECTION, 12, None),
    ],
    ids=["langchain", "llama-index", "haystack", "qdrant", "plain"],
)
def test_the_fields_of_common_programs_are_found(
    tmp_path: Path, payload: dict[str, Any], document: str, start: int, page: int | None
) -> None:
    (chunk,) = read(local(tmp_path, [payload]))
    assert (chunk.text, chunk.document, chunk.start, chunk.end, chunk.page) == ("글", document, start, start + 1, page)
    assert set(payload) <= set(chunk.payload)


def test_named_fields_are_read_and_the_text_stays_as_it_is(tmp_path: Path) -> None:
    payload: dict[str, Any] = {
        "body": {"ko": " 제12조(면제)\u00a0① 면제한다. \n"},
        "doc": "규정.hwp",
        "path": ["제1장 총칙", "제2절 면제"],
        "document_sha256": "ab" * 32,
    }
    source = local(tmp_path, [payload]).model_copy(
        update={"text_field": "body.ko", "document_field": "doc", "heading_field": "path"}
    )
    (chunk,) = read(source)
    assert chunk.text == payload["body"]["ko"]
    assert (chunk.document, chunk.heading_path, chunk.document_sha256) == (
        "규정.hwp", ("제1장 총칙", "제2절 면제"), "ab" * 32,
    )  # fmt: skip


def test_all_points_are_read_page_by_page_each_text_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant, "BATCH_POINTS", 8)
    payloads: list[dict[str, Any]] = [{"text": f"{number}번 글", "source": "a.md"} for number in range(30)]
    payloads += [
        {"text": "0번 글", "source": "a.md"},
        {"text": "  "},
        {"other": 1},
        {"text": "0번 글", "source": "b.md"},
    ]
    source = local(tmp_path, payloads)
    chunks = read(source)
    assert [chunk.text for chunk in chunks] == [*(f"{number}번 글" for number in range(30)), "0번 글"]
    assert [chunk.chunk_id for chunk in read(source)] == [chunk.chunk_id for chunk in chunks]
    assert len(read(source.model_copy(update={"max_points": 10}))) == 10


def test_a_collection_without_texts_tells_the_fields_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="번호, 본문2"):
        read(local(tmp_path, [{"본문2": "글", "번호": 1}]))


def test_an_empty_collection_and_an_unknown_one_are_told(tmp_path: Path) -> None:
    source = local(tmp_path, [])
    with pytest.raises(InvalidDataError, match="No point"):
        read(source)
    with pytest.raises(NotFoundError, match="did you mean 규정"):
        read(source.model_copy(update={"collection": "규정집"}))


def test_a_folder_without_a_database_is_told_and_not_made_into_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no Qdrant database"):
        read(QdrantSource(collection="a", path=str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()


def test_a_broken_database_and_one_in_use_are_told(tmp_path: Path) -> None:
    source = local(tmp_path / "used", [{"text": "글"}])
    client = QdrantClient(path=source.path)
    with pytest.raises(UnavailableError, match="Another program"):
        read(source)
    client.close()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "meta.json").write_text("{")
    with pytest.raises(InvalidDataError, match="cannot be read"):
        read(QdrantSource(collection="a", path=str(tmp_path / "broken")))


@pytest.mark.parametrize(
    "place", [{}, {"url": "http://a:1", "path": "/b"}, {"url": "ftp://a"}, {"url": "http://user:secret@a"}]
)
def test_a_source_is_a_server_or_a_folder(place: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        QdrantSource(collection="a", **place)


Answer = Callable[[str, dict[str, Any]], tuple[int, Any]]


@contextmanager
def server(answer: Answer, key: str = "") -> Iterator[str]:
    """A server that answers requests with (status, what to say)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            request = json.loads(self.rfile.read(length) or b"{}")
            allowed = not key or self.headers.get("api-key") == key
            status, said = answer(self.path, request) if allowed else (401, "Invalid API key")
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        listening.shutdown()
        listening.server_close()


def rest_of(client: QdrantClient) -> Answer:
    """The two answers of Qdrant's REST interface that are asked for, out of a database in memory."""

    def answer(path: str, request: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("/points/scroll"):
            points, following = client.scroll(
                COLLECTION, limit=request["limit"], offset=request.get("offset"), with_payload=True
            )
            found = [{"id": point.id, "payload": point.payload} for point in points]
            return 200, {"result": {"points": found, "next_page_offset": following}, "status": "ok", "time": 0.1}
        names = [{"name": collection.name} for collection in client.get_collections().collections]
        return 200, {"result": {"collections": names}, "status": "ok", "time": 0.1}

    return answer


@pytest.fixture
def database() -> QdrantClient:
    client = QdrantClient(":memory:")
    fill(client, [{"text": f"{number}번 글", "source": "a.md"} for number in range(300)])
    return client


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant, "FIRST_WAIT_SECONDS", 0.01)


def test_a_server_is_read_with_its_key(database: QdrantClient) -> None:
    with server(rest_of(database), key="열쇠".encode().hex()) as url:
        source = QdrantSource(collection=COLLECTION, url=url)
        assert len(read(source, "열쇠".encode().hex())) == 300
        with pytest.raises(InvalidRequestError, match="refuses the key") as caught:
            read(source, "wrong-key")
    assert "wrong-key" not in str(caught.value)


def test_a_server_that_fails_for_a_moment_is_asked_again(database: QdrantClient) -> None:
    calls = 0

    def sometimes(path: str, request: dict[str, Any]) -> tuple[int, Any]:
        nonlocal calls
        calls += 1
        return (503, "busy") if calls % 3 else rest_of(database)(path, request)

    with server(sometimes) as url:
        assert len(read(QdrantSource(collection=COLLECTION, url=url))) == 300


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (500, "broken", UnavailableError),
        (404, "not found", InvalidDataError),
        (200, b"<html>not Qdrant</html>", InvalidDataError),
        (200, {"result": 5}, InvalidDataError),
        (200, b"", InvalidDataError),
    ],
)
def test_an_answer_that_is_not_qdrants_is_told(status: int, said: Any, error: type[Exception]) -> None:
    with server(lambda path, request: (status, said)) as url, pytest.raises(error):
        read(QdrantSource(collection=COLLECTION, url=url))


def test_a_server_that_is_not_there_is_told(free_port_url: str) -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        read(QdrantSource(collection=COLLECTION, url=free_port_url))


@pytest.fixture
def free_port_url() -> str:
    with server(lambda path, request: (200, {})) as url:
        return url
