"""Bringing a file in from the dataset page: preview, correction, import."""

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet
import pytest

from data_prep.masking.masker import mask
from storage.stored_files import open_stored
from tests.dashboard.conftest import open_page, text_of
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard, log_tab_in

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]

ROWS = [
    (
        "통행료가 두 번 빠졌는데 환불은 어디에 신청하나요?",
        "영업소에 신청하시면 3일 안에 환불해 드립니다. 문의 010-1234-5678",
        "환불",
    ),
    ("하이패스 단말기 등록은 어디에서 하나요?", "가까운 영업소나 누리집에서 등록하실 수 있습니다.", "하이패스"),
    ("화물차 심야 할인은 어떻게 받나요?", "할인 차종으로 등록하시면 저절로 할인됩니다.", "할인"),
    ("미납 고지서는 언제 오나요?", "지나가신 날부터 7일 안에 보내 드립니다.", "환불"),
]


@pytest.fixture
def file(services) -> Path:
    """A table with columns of its own names, in the inbox; its last row is broken."""
    # loading the engine takes seconds of CPU, on a busy machine more than a page of AppTest may take
    mask(["010-1234-5678"])
    path: Path = services.settings.data_dir / "inbox" / "tolls__2026-11.csv"
    path.parent.mkdir(parents=True)
    lines = ["접수글,처리글,부서", *(",".join(f'"{cell}"' for cell in row) for row in ROWS), '"질문만 있음",,환불']
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def opened(file: Path, language: str = "ko"):
    app = open_page("datasets", language)
    return app.selectbox(key="import-file").set_value(str(file)).run()


def imports(services) -> list[Path]:
    return sorted((services.settings.datasets_dir / "imports").glob("tolls-*"))


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ko", ["데이터 올리기", "형식 csv", "쓸 수 있는 행 80.0 % 앞부분 5행 가운데", "접수글 질문 100 %", "[전화번호]", "질문 하이패스 단말기"]),
        ("en", ["Add data", "Usable rows 80.0 % of the first 5 rows", "접수글 question 100 %", "assistant 가까운 영업소나"]),
    ],
)  # fmt: skip
def test_a_file_is_shown_as_what_it_would_become_without_personal_data(file, language, expected):
    text = text_of(opened(file, language))

    assert [one for one in expected if one not in text] == []
    assert "1234-5678" not in text


def test_the_proposed_mapping_is_corrected_and_the_preview_follows(file):
    app = opened(file)

    app.selectbox(key=f"import-answer-{file}").set_value("부서").run()

    assert "답변 하이패스" in text_of(app)


def test_a_mapping_that_cannot_be_says_what_is_wrong(file):
    app = opened(file)

    app.text_input(key=f"import-template-{file}").set_value("{접수글").run()

    assert "이 파일은 이대로 가져올 수 없습니다" in text_of(app)


def test_the_import_is_that_of_the_command_with_the_corrected_mapping(services, file):
    app = opened(file)
    app.selectbox(key=f"import-source-{file}").set_value("부서").run()

    app.button(key="import-start").click().run()

    (folder,) = imports(services)
    text = text_of(app)
    assert "4행을 가져왔습니다. 읽을 수 없는 행은 1행입니다." in text
    assert "tolls__2026-11.csv 6" in text
    commands = [code.value for code in app.code]
    assert commands[0] == f"tuneway dataset prepare {folder.name}"
    assert json.loads(commands[1])["columns"] == {"question": "접수글", "answer": "처리글", "source": "부서"}
    with open_stored(folder / "rows.parquet") as stream:
        assert pyarrow.parquet.read_table(stream).num_rows == 4


def test_a_name_that_no_dataset_can_have_starts_nothing(services, file):
    app = opened(file)

    app.text_input(key=f"import-name-{file}").set_value("통행료").run()

    assert app.button(key="import-start").disabled
    assert imports(services) == []


def test_a_file_that_cannot_be_read_says_so(services, file):
    file.write_bytes(b"\x00\x01\x02" * 100)

    assert "이 파일은 이대로 가져올 수 없습니다" in text_of(opened(file))


def test_files_that_start_a_run_by_themselves_are_not_offered(services, file):
    dropped = services.settings.drop_dir / "tolls.csv"
    dropped.parent.mkdir(parents=True)
    shutil.copyfile(file, dropped)

    options = open_page("datasets").selectbox(key="import-file").options

    assert not any("auto/" in option for option in options)
    assert any(option.startswith("inbox/tolls__2026-11.csv") for option in options)


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
@pytest.mark.deep
@pytest.mark.parametrize(("width", "language"), [(1440, "ko"), (390, "en")])
def test_a_person_imports_a_file_in_a_browser(services, file, tmp_path, width, language):
    from playwright.sync_api import expect, sync_playwright

    pictures = Path(os.environ.get("DASHBOARD_PICTURES", str(tmp_path)))
    with dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        tab = browser.new_page(viewport={"width": width, "height": 1200})
        tab.set_default_timeout(60_000)
        log_tab_in(tab, port, language=language)
        tab.goto(f"http://127.0.0.1:{port}/datasets?lang={language}")
        tab.get_by_text("서버의 입력 폴더에서" if language == "ko" else "From the server's input folders").click()
        chooser = tab.get_by_role("combobox", name="파일" if language == "ko" else "File").first
        chooser.click()
        tab.get_by_text("inbox/tolls__2026-11.csv").click()
        expect(tab.get_by_text("[전화번호]")).to_be_visible(timeout=60_000)
        tab.get_by_role("button", name="가져오기" if language == "ko" else "Import", exact=True).click()
        expect(tab.get_by_text("tuneway dataset prepare tolls-")).to_be_visible(timeout=60_000)
        content = tab.locator("[data-testid=stMain]")
        assert content.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
        tab.set_viewport_size({"width": width, "height": content.evaluate("main => main.scrollHeight") + 20})
        tab.screenshot(path=pictures / f"import-{width}-{language}.png")
        browser.close()
    assert len(imports(services)) == 1
