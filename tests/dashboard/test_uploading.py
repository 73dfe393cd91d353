"""A file sent from the datasets page: in parts, cut short, broken, too large, and made into a version."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from contracts.datasets import ColumnMapping
from contracts.errors import ConflictError, ForbiddenError, NotFoundError, TooLargeError
from contracts.identity import Role
from contracts.uploads import UploadRequest, UploadState
from dashboard import receiving, writing
from dashboard.sessions import cookie_name
from data_prep.masking.masker import mask
from stages.services import Services
from stages.uploads import finish_upload, list_uploads
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.dashboard.test_importing import ROWS
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard, log_tab_in

pytestmark = pytest.mark.slow

UPLOAD = "1" * 32
ORIGIN = {"Origin": "http://testserver"}
TOPICS = ("환급", "하이패스", "감면", "영업소", "휴게소", "과적", "공사", "사고", "견인", "미납", "충전", "차로")


def table(count: int = 4) -> bytes:
    """A table with columns of its own names."""
    rows = list(ROWS) if count == 4 else [
        (f"{TOPICS[number % 12]} 절차의 {number + 1}단계에는 무엇이 필요한가요?",
         f"{TOPICS[number % 12]} {number + 1}단계에는 신분증과 신청서를 준비하여 영업소를 방문하시면 됩니다.", TOPICS[number % 3])
        for number in range(count)
    ]  # fmt: skip
    return "\n".join(["접수글,처리글,부서", *(",".join(f'"{cell}"' for cell in row) for row in rows)]).encode()


def sent(visit, content: bytes, upload: str = UPLOAD, file_name: str = "tolls__2026-11.csv"):
    """The upload as it is when the whole file has arrived."""
    writing.begin_upload(visit, UploadRequest(name="tolls", file_name=file_name, size_bytes=len(content)), upload)
    return writing.take_part(visit, upload, 0, content)


@pytest.fixture
def browser(visit):
    """What the page's script calls, as the session's browser."""
    client = TestClient(_app(visit), headers=ORIGIN)
    client.cookies.set(cookie_name(visit), visit.session)
    return client


def _app(services: Services) -> Starlette:
    return Starlette(routes=receiving.routes(lambda: services))


def asked(content: bytes, name: str = "통행료__2026-11.csv", modified: int = 1) -> dict[str, object]:
    return {"file_name": name, "size_bytes": len(content), "modified": modified}


def test_a_file_arrives_in_parts_and_goes_on_where_it_was_cut_short(browser, services, visit):
    content = table()
    first = browser.post("/uploads", json=asked(content)).json()
    assert first["received_bytes"] == 0
    address = f"/uploads/{first['upload_id']}"
    part = browser.patch(address, content=content[:100], headers={"Upload-Offset": "0"})
    assert part.json()["received_bytes"] == 100

    assert browser.patch(address, content=b"x", headers={"Upload-Offset": "90"}).status_code == 409
    again = browser.post("/uploads", json=asked(content)).json()
    assert again == {"upload_id": first["upload_id"], "received_bytes": 100}
    whole = browser.patch(address, content=content[100:], headers={"Upload-Offset": "100"})

    assert whole.json()["received_bytes"] == len(content)
    (upload,) = list_uploads(services, user_id=visit.principal.user_id)
    assert (upload.state, upload.received_bytes, upload.name) == (UploadState.RECEIVING, len(content), "unnamed")
    # another edition of a file of the same name and size is another upload
    assert browser.post("/uploads", json=asked(content, modified=2)).json()["received_bytes"] == 0


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"file_name": "rows.exe", "size_bytes": 5, "modified": 1}, 422, "format is not known"),
        ({"file_name": "a/b.csv", "size_bytes": 5, "modified": 1}, 422, "no file that can be sent"),
        ({"file_name": "rows.csv", "size_bytes": 0, "modified": 1}, 422, "no file that can be sent"),
        ({"file_name": "rows.csv", "size_bytes": 10**12, "modified": 1}, 422, "too large"),
        ({"file_name": "rows.csv"}, 422, "no file that can be sent"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_a_byte_is_kept(browser, services, visit, body, status, told):
    answer = browser.post("/uploads", json=body)
    assert (answer.status_code, told in answer.json()["what"]) == (status, True)
    assert list_uploads(services, user_id=visit.principal.user_id) == []


def test_another_site_and_an_oversized_part_are_refused(browser):
    assert browser.post("/uploads", json=asked(b"x"), headers={"Origin": "http://evil.example"}).status_code == 403
    upload = browser.post("/uploads", json=asked(b"xy")).json()["upload_id"]
    body = bytes(receiving.PART_BYTES + 1)
    assert browser.patch(f"/uploads/{upload}", content=body, headers={"Upload-Offset": "0"}).status_code == 413
    more = browser.patch(f"/uploads/{upload}", content=b"xyz", headers={"Upload-Offset": "0"})
    assert (more.status_code, more.json()["what"]) == (422, "The file is too large")


def test_who_is_not_logged_in_or_may_not_import_sends_nothing(services, visit, monkeypatch):
    client = TestClient(_app(visit), headers=ORIGIN)
    assert client.post("/uploads", json=asked(b"x")).status_code == 401
    viewer = come_in(monkeypatch, "lee", Role.VIEWER)
    with pytest.raises(ForbiddenError):
        sent(viewer, table())


def test_an_upload_is_its_senders_alone(services, visit, monkeypatch):
    upload = sent(visit, table())
    other = come_in(monkeypatch, "park", Role.ADMIN)
    with pytest.raises(NotFoundError):
        writing.take_part(other, UPLOAD, 0, b"x")
    with pytest.raises(NotFoundError):
        writing.make_dataset(other, upload, "tolls", None, ColumnMapping())
    with pytest.raises(NotFoundError):
        writing.forget_upload(other, UPLOAD)


def test_more_than_was_announced_is_not_kept(visit):
    writing.begin_upload(visit, UploadRequest(name="tolls", file_name="a.csv", size_bytes=3), UPLOAD)
    with pytest.raises(TooLargeError):
        writing.take_part(visit, UPLOAD, 0, b"1234")
    assert writing.take_part(visit, UPLOAD, 0, b"123").received_bytes == 3


@pytest.fixture
def loaded():
    """Loading the engine takes seconds of CPU, on a busy machine more than a page of AppTest may take."""
    mask(["010-1234-5678"])


def test_the_file_that_has_arrived_is_shown_as_what_it_would_become(visit, loaded):
    sent(visit, table())
    text = text_of(open_page("datasets"))
    assert "tolls__2026-11.csv" in text
    for expected in ("형식 csv", "쓸 수 있는 행 100.0 %", "접수글 질문 100 %", "[전화번호]", "질문 하이패스 단말기"):
        assert expected in text
    assert "1234-5678" not in text


def test_a_file_that_cannot_be_read_says_so_and_is_thrown_away(services, visit, loaded):
    sent(visit, b"\x00\x01\x02" * 100)
    app = open_page("datasets")
    assert "이 파일은 이대로 가져올 수 없습니다" in text_of(app)
    app.button(key=f"upload-forget-{UPLOAD}").click().run()
    assert list_uploads(services, user_id=visit.principal.user_id) == []


def test_what_is_pressed_is_made_with_the_corrected_mapping_and_found_on_the_page(services, visit, loaded, monkeypatch):
    sent(visit, table(40))
    started = []

    def starting(upload_id: str, _: Services) -> SimpleNamespace:
        started.append(upload_id)
        return SimpleNamespace(poll=lambda: None)

    monkeypatch.setattr("stages.finishing._start", starting)
    app = open_page("datasets")
    app.selectbox(key=f"import-source-{UPLOAD}").set_value("부서").run()
    app.text_input(key=f"upload-description-{UPLOAD}").set_value("11월 접수").run()
    app.button(key="upload-make").click().run()
    text = text_of(app)
    assert "● 행 읽기 tolls" in text
    assert started == [UPLOAD]
    with pytest.raises(ConflictError):
        writing.make_dataset(
            visit, list_uploads(services, user_id=visit.principal.user_id)[0], "tolls", None, ColumnMapping()
        )

    upload = finish_upload(UPLOAD, services)

    made = upload.dataset
    assert made is not None, upload.error
    app = open_page("datasets")
    assert "tolls v1.0을 만들었습니다. 읽은 40행 가운데 40행이 남았고, 읽을 수 없는 행은 0행입니다." in text_of(app)
    app.button(key=f"upload-look-{UPLOAD}").click().run()
    assert app.query_params["dataset"] == str(made.dataset_id)
    with services.unit_of_work() as uow:
        assert uow.datasets.listed(made.dataset_id).description == "11월 접수"
    # the same file once more is another upload of the same version
    assert sent(visit, table(40)).state is UploadState.RECEIVING


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
@pytest.mark.deep
@pytest.mark.parametrize(("width", "language"), [(1440, "ko"), (390, "en")])
def test_a_person_sends_a_file_and_watches_it_become_a_dataset(services, visit, tmp_path, width, language):
    from playwright.sync_api import expect, sync_playwright

    pictures = Path(os.environ.get("DASHBOARD_PICTURES", str(tmp_path)))
    megabytes = int(os.environ.get("UPLOAD_MEGABYTES", "1"))
    file = tmp_path / "tolls__2026-11.jsonl"
    with file.open("w", encoding="utf-8") as stream:
        number = 0
        while stream.tell() < (megabytes << 20 if megabytes > 1 else 60_000):
            number += 1
            row = {"question": f"{TOPICS[number % 12]} 절차의 {number}단계에는 무엇이 필요한가요?",
                   "answer": f"{TOPICS[number % 12]} {number}단계에는 신분증과 신청서를 준비하여 영업소를 방문하시면 됩니다. " * 3,
                   "category": TOPICS[number % 3]}  # fmt: skip
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    (tmp_path / "rows.exe").write_bytes(b"x")
    with dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        tab = browser.new_page(viewport={"width": width, "height": 1200})
        tab.set_default_timeout(60_000)
        log_tab_in(tab, port, language=language)
        tab.goto(f"http://127.0.0.1:{port}/datasets?lang={language}")
        chooser = tab.locator("input[type=file]")
        chooser.set_input_files(tmp_path / "rows.exe")
        expect(tab.get_by_role("alert").filter(has_text="rows.exe")).to_be_visible()
        begun = time.monotonic()
        chooser.set_input_files(file)
        tab.screenshot(path=pictures / f"uploading-{width}-{language}.png")
        expect(tab.get_by_text("영업소를 방문하시면").first).to_be_visible(timeout=300_000)
        print(f"{file.stat().st_size / 1e6:.1f} MB in {time.monotonic() - begun:.1f} s")
        content = tab.locator("[data-testid=stMain]")
        assert content.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
        tab.screenshot(path=pictures / f"uploaded-{width}-{language}.png")
        if megabytes > 1:
            return
        tab.get_by_role("button", name="데이터셋 만들기" if language == "ko" else "Make the dataset").click()
        expect(tab.get_by_text("tolls v1.0").first).to_be_visible(timeout=300_000)
        tab.get_by_role("button", name="이 버전 보기" if language == "ko" else "Look at it").click()
        expect(tab.get_by_role("heading", name="tolls v1.0")).to_be_visible()
        browser.close()
