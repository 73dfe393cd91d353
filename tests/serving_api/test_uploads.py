"""Files become dataset versions over HTTP: in one call, in parts, broken, too large, hostile."""

import gzip
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from contracts.access import ResourceKind
from contracts.identity import AccountKind, Principal, Role
from contracts.uploads import UploadRequest
from serving_api.admin import uploads as uploads_over_http
from stages import uploads
from storage import segments
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port
from tests.serving_api.policy_server import with_policies
from tests.serving_api.running import ADMIN_TOKEN, add_admin_key, make_secrets, running_service, wait_until
from tests.serving_api.test_permissions import as_

pytestmark = pytest.mark.slow

HEADERS = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
CANARY = "카나리아열쇠말"
TOPICS = [
    "통행료 환급", "하이패스 등록", "감면 대상", "영업소 위치", "휴게소 시설", "과적 단속", "공사 구간", "사고 신고",
    "긴급 견인", "미납 통행료", "전기차 충전", "버스전용차로", "적재 기준", "교통 정보", "도로 점용", "민원 접수",
]  # fmt: skip


def jsonl(count=32):
    rows = [
        {
            "question": f"{TOPICS[number % 16]} 절차에서 {number + 1}단계는 무엇을 준비해야 하나요?",
            "answer": f"{TOPICS[number % 16]} 절차의 {number + 1}단계에서는 {CANARY if number == 7 else ''} 신분증과 신청서를 준비하여 가까운 영업소를 방문하시면 됩니다.",
            "category": TOPICS[number % 4],
        }
        for number in range(count)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.fixture
def api(services):
    with (
        running_service(services) as (url, _),
        httpx.Client(base_url=f"{url}/api/v1/admin", headers=HEADERS, timeout=300) as client,
    ):
        yield client


def left_behind(services):
    folder = services.settings.uploads_dir
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".turn")]


def test_parts_follow_each_other_whatever_breaks_between_and_make_what_was_announced_or_nothing(
    api, services, monkeypatch
):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1000)
    content = gzip.compress(jsonl())
    wanted = {
        "name": "parts", "file_name": "parts.jsonl.gz", "size_bytes": len(content),
        "sha256": hashlib.sha256(content + b"!").hexdigest(),
    }  # fmt: skip
    keyed = {"Idempotency-Key": "parts-1"}
    begun = api.post("training/uploads", json=wanted, headers=keyed).json()
    assert api.post("training/uploads", json=wanted, headers=keyed).json()["upload_id"] == begun["upload_id"]
    path = f"training/uploads/{begun['upload_id']}"
    early = api.post(f"{path}/complete")
    assert (early.status_code, early.json()["value"]) == (409, "0 bytes")
    half, most = len(content) // 2, len(content) - 9
    first = api.patch(path, content=content[:half], headers={"Upload-Offset": "0"})
    assert (first.status_code, first.headers["Upload-Offset"]) == (200, str(half))
    wrong = api.patch(path, content=b"x", headers={"Upload-Offset": "0"})
    assert (wrong.status_code, wrong.json()["allowed"]) == (409, f"Upload-Offset {half}")
    break_off(api, path, content[half:most], half)
    # what the service had read when the connection broke is kept; how much that is, it tells
    ends = wait_for_offset(api, path, {half, most})
    beyond = api.patch(path, content=content[ends:] + b"x", headers={"Upload-Offset": str(ends)})
    assert beyond.status_code == 413
    sent = api.patch(path, content=content[ends:], headers={"Upload-Offset": str(ends)})
    assert sent.headers["Upload-Offset"] == str(len(content))
    # it is whole, and not the file that was announced
    for _ in range(2):
        refused = api.post(f"{path}/complete", params={"wait_seconds": 300})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_data"), refused.text
    late = api.patch(path, content=b"x", headers={"Upload-Offset": str(len(content))})
    assert (late.status_code, late.json()["value"]) == (409, "failed")
    assert api.delete(path).status_code == 204
    assert left_behind(services) == []


def wait_for_offset(api, path, expected):
    """Until nobody writes any more."""
    wait_until(
        lambda: api.patch(path, content=b"", headers={"Upload-Offset": "1"}).json()["code"] == "conflict", seconds=60
    )
    found = int(api.head(path).headers["Upload-Offset"])
    assert found in expected
    return found


def break_off(api, path, content, offset):
    """Announce more than is sent, and leave."""
    with socket.create_connection((api.base_url.host, api.base_url.port)) as connection:
        connection.sendall(
            f"PATCH {api.base_url.path}{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
            f"Upload-Offset: {offset}\r\nContent-Length: {10 * len(content)}\r\n\r\n".encode()
            + content
        )


def test_a_form_that_breaks_off_leaves_nothing_behind(api, services):
    with socket.create_connection((api.base_url.host, api.base_url.port)) as connection:
        connection.sendall(
            f"POST {api.base_url.path}training/datasets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"a":'.encode()
        )
        wait_until(lambda: left_behind(services) != [], seconds=60)
    wait_until(lambda: left_behind(services) == [], seconds=60)


FORM = "--b\r\nContent-Disposition: form-data; name={name}\r\n\r\nx\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "ends before its last boundary"),
        (b"nothing", "broken"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "no name"),
        (FORM.format(name="name").encode(), "no file"),
        (FORM.format(name="file").encode(), "no file name"),
        (FORM.format(name='"f"; filename="a"').encode(), "called otherwise"),
        (FORM.format(name='"file"; filename="a.jsonl"').encode(), "form is not valid: name"),
        (b"--b\r\nX: " + b"y" * 9000 + b"\r\n\r\n", "broken.*header size"),
        (b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + b"y" * 70_000, "field of the form is too long"),
    ],
)  # fmt: skip
def test_a_form_that_is_none_is_refused_by_one_clear_error(content, what):
    # by hand: the same service for all would be slower than the parser itself
    import asyncio

    from contracts.errors import InvalidRequestError
    from serving_api.admin.uploads import _described
    from serving_api.multipart import FormReader

    async def body():
        for start in range(0, len(content), 7):
            yield content[start : start + 7]

    async def write(_):
        pass

    def read():
        form = FormReader("multipart/form-data; boundary=b")
        asyncio.run(form.read(body(), write))
        _described(form, 1)

    with pytest.raises(InvalidRequestError, match=what):
        read()


def workbook_bomb():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/workbook.xml", "w") as part:
        for _ in range(300):
            part.write(b" " * (1 << 20))
    return target.getvalue()


def parquet_of(rows):
    import pyarrow
    import pyarrow.parquet

    target = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"question": ["q"] * rows, "answer": ["a"] * rows}), target)
    return target.getvalue()


def gzip_bomb():
    return gzip.compress(b'{"question": "q"}\n' * (300 << 16))


HOSTILE = {
    "gz.jsonl.gz": (gzip_bomb, 413, "unpacks to too much"),
    "zip.xlsx": (workbook_bomb, 413, "unpacks to too much"),
    "rows.parquet": (lambda: parquet_of(51), 413, "too many rows"),
    "deep.jsonl": (lambda: b'{"question": "q", "answer": ' + b"[" * 5000 + b"]" * 5000 + b"}\n", 422, "No row"),
    "not.parquet": (lambda: b"PAR1" + b"x" * 100, 422, "not a Parquet file"),
    "bytes.json": (lambda: os.urandom(1000), 422, ""),
    "twice.xlsx.gz": (lambda: gzip.compress(b"x"), 422, "compressed twice"),
    "macro.exe": (lambda: b"MZ", 422, "format is not known"),
}


def test_an_upload_that_is_still_held_is_forgotten_when_it_is_let_go(services):
    with services.unit_of_work() as uow:
        maker = uow.users.ensure("maker", Role.ML_ENGINEER)
    caller = Principal(user_id=maker, username="maker", kind=AccountKind.PERSON, role=Role.ML_ENGINEER, token_id="t")
    request = UploadRequest(name="held", file_name="held.jsonl")
    upload = uploads.create_upload(request, services, user_id=maker, username="maker").upload_id
    with ThreadPoolExecutor() as pool:
        with uploads.receiving(upload, services, user_id=maker):
            forgotten = pool.submit(uploads_over_http._forget, upload, services, caller)
            with pytest.raises(TimeoutError):
                forgotten.result(timeout=0.3)
        forgotten.result(timeout=30)
    assert left_behind(services) == []


def test_hostile_files_are_refused_and_leave_nothing_behind(services, monkeypatch):
    monkeypatch.setenv("TUNEWAY_MAX_UPLOAD_ROWS", "50")
    monkeypatch.setenv("TUNEWAY_MAX_UPLOAD_MB", "2")
    limited = with_settings(services, max_upload_rows=50, max_upload_mb=2.0)
    with (
        running_service(limited) as (url, _),
        httpx.Client(base_url=f"{url}/api/v1/admin", headers=HEADERS, timeout=300) as api,
    ):
        for name, (content, status, what) in HOSTILE.items():
            refused = api.post(
                "training/datasets", data={"name": "hostile"}, files={"file": (name, content())},
                params={"wait_seconds": 300},
            )  # fmt: skip
            assert (refused.status_code, what in refused.json()["what"]) == (status, True), (name, refused.text)
            assert left_behind(services) == [], name
        large = api.post("training/datasets", data={"name": "large"}, files={"file": ("a.jsonl", b" " * 3_100_000)})
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
        pieces = (piece for piece in [FORM_HEAD, *[b" " * 100_000] * 21])
        unsaid = api.post(
            "training/datasets", content=pieces, headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
        assert unsaid.status_code == 413
        assert api.get("training/datasets").json()["total"] == 0
        imports = services.settings.datasets_dir / "imports"
        assert [path for path in imports.glob("*") if path.is_dir()] == []
        assert left_behind(services) == []


FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'


def with_settings(services, **changes):
    from dataclasses import replace

    return replace(services, settings=services.settings.model_copy(update=changes))


def test_another_account_neither_sees_an_upload_nor_extends_a_dataset(api, services):
    for name, projects in (("maker", ["roads"]), ("stranger", ["tolls"]), ("colleague", ["roads"])):
        with services.unit_of_work() as uow:
            uow.users.add(name, kind=AccountKind.PERSON, role=Role.ML_ENGINEER, projects=projects, password_hash=None)
    with services.unit_of_work() as uow:
        version = uow.datasets.add(
            name="roads", content_hash="0" * 64, file_path="/d", total_samples=1, train_samples=1, val_samples=0,
            test_samples=0, removed={}, masked={}, quality_score=1.0, categories={},
        )  # fmt: skip
        uow.ownership.claim(ResourceKind.DATASET, version.dataset_id, uow.users.get("maker").user_id)
    wanted = {"name": "roads", "file_name": "a.jsonl"}
    begun = {
        name: api.post("training/uploads", json=wanted, headers=as_(name))
        for name in ("maker", "stranger", "colleague")
    }
    assert {name: answer.status_code for name, answer in begun.items()} == {
        "maker": 201,
        "stranger": 403,
        "colleague": 201,
    }
    path = f"training/uploads/{begun['maker'].json()['upload_id']}"
    assert api.get(path, headers=as_("maker")).status_code == 200
    for other in ("stranger", "colleague"):
        assert api.get(path, headers=as_(other)).status_code == 404
        assert api.delete(path, headers=as_(other)).status_code == 404
    form = api.post(
        "training/datasets", data={"name": "roads"}, files={"file": ("a.jsonl", jsonl(1))}, headers=as_("stranger")
    )
    assert form.status_code == 403
    assert api.get("training/uploads/..%2f..%2fsecrets").status_code in {404, 422}


@pytest.mark.deep
def test_a_service_killed_in_the_middle_leaves_what_can_be_gone_on_with_and_nothing_else(services, monkeypatch):
    """kill -9 while a form and a part arrive; the next start sweeps the form and keeps the whole segments."""
    port = free_port()
    settings = with_policies(services).settings
    for name, value in {
        "SERVING_PORT": port, "CERBOS_PORT": settings.cerbos_port, "CERBOS_GRPC_PORT": settings.cerbos_grpc_port,
        "POLICY_TIMEOUT_SECONDS": 20, "REQUESTS_PER_MINUTE": 100_000,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"TUNEWAY_{name}", str(value))
    make_secrets(settings.secrets_dir)
    add_admin_key(services)
    url = f"http://127.0.0.1:{port}"
    content = jsonl()

    def start():
        code = "import storage.segments as s, serving_api.__main__ as m; s.SEGMENT_BYTES = 1000; m.main()"
        process = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY_ROOT, stderr=subprocess.DEVNULL)
        wait_until(lambda: answers(url), seconds=120)
        return process

    process = start()
    try:
        with httpx.Client(base_url=f"{url}/api/v1/admin", headers=HEADERS, timeout=300) as api:
            begun = api.post("training/uploads", json={"name": "killed", "file_name": "a.jsonl"}).json()["upload_id"]
            path = f"training/uploads/{begun}"
            half = socket.create_connection(("127.0.0.1", port))
            half.sendall(
                f"PATCH /api/v1/admin/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
                f"Upload-Offset: 0\r\nContent-Length: 9000000\r\n\r\n".encode()
                + (content + b"\n" * 1_100_000)[:1_100_000]
            )
            form = socket.create_connection(("127.0.0.1", port))
            form.sendall(
                f"POST /api/v1/admin/training/datasets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n".encode()
                + FORM_HEAD
                + b" " * 1_100_000
            )
            wait_until(lambda: api.get(path).json()["received_bytes"] > 1_000_000, seconds=60)
            wait_until(lambda: len({file.parent for file in left_behind(services) if "segment" in file.name}) == 2, 60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        half.close()
        form.close()
        process = start()
        with httpx.Client(base_url=f"{url}/api/v1/admin", headers=HEADERS, timeout=300) as api:
            wait_until(lambda: {file.parent.name for file in left_behind(services)} == {begun}, seconds=60)
            kept = int(api.head(path).headers["Upload-Offset"])
            assert 1_000_000 < kept <= 1_100_000
            assert kept % 1000 == 0
            done = api.post(f"{path}/complete", params={"wait_seconds": 300})
            assert done.status_code == 201, done.text
            assert (done.json()["rows"], done.json()["broken_rows"]) == (32, 0)
    finally:
        process.kill()
        process.wait()


def answers(url):
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False
