"""The page of a dataset version in its parts: every filter in the address, every number from what is kept."""

from io import BytesIO

import pdfplumber
import pytest

from contracts.access import ResourceKind
from contracts.dataset_rows import RowFilter
from contracts.enums import Split
from contracts.errors import ForbiddenError
from contracts.identity import Role
from dashboard import reading
from dashboard.dataset_report import dataset_pdf
from dashboard.texts import Language, Words
from stages.prepare import prepare
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.stages.test_prepare import imported, request, rows

pytestmark = pytest.mark.slow

TWICE = "휴게소 유실물 인계 업무는 어느 부서가 담당하나요?"


@pytest.fixture
def version(services):
    """15 rows of three forms and five subjects; two of them came twice, one too short."""
    content = rows()
    content += [
        content[3],
        content[3],
        {**content[0], "category": "통행"},
        {"question": "짧은 답인가요?", "answer": "네"},
    ]
    content[7] = {**content[7], "answer": "도로상황센터에서 담당합니다. 문의는 010-1234-5678로 주십시오."}
    return prepare(request(imported(services, content), train_ratio=0.8, val_ratio=0.1, test_ratio=0.1), services)


def opened(version, part: str, language: str = "ko", **query: object):
    return open_page("datasets", language, dataset=version.dataset_id, part=part, **query)


def test_rows_are_narrowed_by_what_the_address_says(visit, version):
    text = text_of(opened(version, "rows", category="포트", q="담당 부서"))
    assert "조건에 맞는 행 1건 / 전체 15건" in text
    assert "포트홀 긴급 복구 담당 부서를 알려 주세요." in text
    assert "휴게소" not in text.split("조건에 맞는")[1]


def test_a_filter_chosen_on_the_page_stands_in_the_address_and_begins_at_its_first_page(visit, version):
    app = opened(version, "rows", at=9)
    assert "조건에 맞는 행 15건" in text_of(app)
    app.selectbox(key="rows-split").set_value(Split.TEST.value).run()
    app.selectbox(key="rows-order").set_value("most_toxic").run()
    text = text_of(app)
    assert f"조건에 맞는 행 {version.test_samples}건" in text
    assert (app.query_params["split"], app.query_params["order"]) == ("test", "most_toxic")
    assert "at" not in app.query_params
    app.selectbox(key="rows-flag").set_value("toxic").run()
    assert "조건에 맞는 행이 없습니다" in text_of(app)


def test_an_address_with_nonsense_in_it_shows_all_rows(visit, version):
    assert "15 of 15 rows match" in text_of(
        opened(version, "rows", "en", flag="nothing", split="x", order="y", at="-1")
    )


def test_who_may_not_read_the_version_sees_none_of_its_rows(visit, version, monkeypatch):
    stranger = come_in(monkeypatch, "lee", Role.VIEWER, ("tolls",))
    with stranger.unit_of_work() as uow:
        uow.users.ensure("engineer", Role.ML_ENGINEER)
        uow.users.change("engineer", projects=["roads"])
        uow.ownership.claim(ResourceKind.DATASET, version.dataset_id, uow.users.get("engineer").user_id)
    for read in (
        lambda: reading.dataset_rows(stranger, version.dataset_id, RowFilter(), 0, 5),
        lambda: reading.dataset_lineage(stranger, version.dataset_id),
    ):
        with pytest.raises(ForbiddenError):
            read()


def test_clusters_say_how_large_they_are_which_row_stayed_and_why(visit, version):
    text = text_of(opened(version, "duplicates"))
    assert "묶음 2 제외한 행 3" in text
    assert f"3행 · {TWICE}" in text
    assert "점수가 같아 먼저 나온 행을 남겼습니다. 남긴 행과의 유사도는 100 % 이상입니다." in text
    assert "✓ 남김 rows.jsonl:4 100 %" in text
    assert "– 제외 rows.jsonl:16 100 %" in text


def test_removed_rows_are_shown_with_their_reasons(visit, version):
    text = text_of(opened(version, "quality"))
    assert "너무 짧은 답변 짧은 답인가요? 답변 1자, 5자 이상이어야 함" in text


def test_a_version_is_split_again_into_a_new_one(visit, version):
    app = opened(version, "split")
    assert "학습" in text_of(app) and "다시 나누기" in text_of(app)
    app.number_input(key=f"split-validation-{version.dataset_id}").set_value(60).run()
    app.number_input(key=f"split-test-{version.dataset_id}").set_value(50).run()
    assert "합이 110 %라서" in text_of(app)
    assert app.button(key=f"split-start-{version.dataset_id}").disabled
    app.number_input(key=f"split-validation-{version.dataset_id}").set_value(40).run()
    app.number_input(key=f"split-test-{version.dataset_id}").set_value(40).run()
    app.button(key=f"split-start-{version.dataset_id}").click().run()
    assert "demo v1.1을 만들었습니다" in text_of(app)
    with visit.unit_of_work() as uow:  # the page's own list is kept for some seconds
        newest = max(uow.datasets.of_name(version.name), key=lambda row: row.dataset_id)
    assert newest.val_samples + newest.test_samples > version.val_samples + version.test_samples
    # the older version is not split once more: the error says which one can be
    again = opened(version, "split")
    again.button(key=f"split-start-{version.dataset_id}").click().run()
    assert "다시 나누지 못했습니다" in text_of(again)


def test_versions_are_found_by_name_hash_and_category(visit, version):
    assert "버전이 없습니다" in text_of(open_page("datasets", "ko", find="tolls"))
    app = open_page("datasets", "ko", find=f"demo {version.content_hash[:6]}")
    assert list(app.dataframe[0].value["이름"]) == ["demo"]
    assert "demo v1.0" in text_of(app)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (Language.KOREAN, ["demo v1.0", "데이터셋 보고서", "15건", "정제", "똑같은 중복", "중복 묶음", TWICE, "너무 짧은 답변", "[전화번호]"]),
        pytest.param(Language.ENGLISH, ["demo v1.0", "Dataset report", "15 rows", "exact duplicate", "Duplicates", "[전화번호]"], marks=pytest.mark.deep),
    ],
)  # fmt: skip
def test_the_report_holds_what_the_page_shows_and_no_personal_data(visit, version, language, expected):
    story = reading.dataset_story(visit, version.dataset_id)
    with pdfplumber.open(BytesIO(dataset_pdf(story, Words(language)))) as file:
        text = " ".join(page.extract_text() for page in file.pages)
    flat = text.replace("\n", " ")
    assert [one for one in expected if one not in flat] == []
    assert "1234-5678" not in text


@pytest.mark.deep
def test_a_version_whose_statistics_are_elsewhere_still_has_a_report(visit, story):
    with pdfplumber.open(BytesIO(dataset_pdf(reading.dataset_story(visit, 1), Words(Language.KOREAN)))) as file:
        assert "regulations v1.0" in file.pages[0].extract_text()
    for part in ("statistics", "duplicates", "rows", "split", "history", "lineage"):
        text_of(open_page("datasets", "ko", dataset=1, part=part))
