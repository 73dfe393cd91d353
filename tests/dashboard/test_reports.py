"""The reports that people take away: a run's and an A/B test's, with the numbers of their pages."""

from io import BytesIO

import pdfplumber
import pytest

from dashboard import reading
from dashboard.texts import Language, Words
from dashboard.views.ab_report import ab_report
from dashboard.views.ab_tests import verdict_sentence
from dashboard.views.run_report import run_report
from tests.dashboard.conftest import open_page
from tests.dashboard.story import COMPLETE_RUN, REFUSED_RUN

pytestmark = pytest.mark.slow


def text_of_pdf(content: bytes) -> str:
    with pdfplumber.open(BytesIO(content)) as file:
        return " ".join(" ".join(page.extract_text() for page in file.pages).split())


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (Language.KOREAN, ["실행 보고서", COMPLETE_RUN, "합격", "정확도", "regulations-assistant v1", "1 / "]),
        pytest.param(
            Language.ENGLISH,
            ["Report of a run", COMPLETE_RUN, "Accuracy", "regulations-assistant v1"],
            marks=pytest.mark.deep,
        ),
    ],
)
def test_a_runs_report_tells_what_its_page_tells(visit, story, language, told):
    text = text_of_pdf(run_report(reading.run_story(visit, COMPLETE_RUN), Words(language)))
    assert [part for part in told if part not in text] == []


@pytest.mark.deep
def test_the_report_of_a_run_that_was_stopped_says_what_there_is_not(visit, story):
    words = Words(Language.KOREAN)
    text = text_of_pdf(run_report(reading.run_story(visit, REFUSED_RUN), words))
    assert words("gate_decision.fail") in text
    assert words("runs.outcome_missing").split()[0] in text


def test_an_ab_tests_report_begins_with_its_verdict(visit, story):
    words = Words(Language.KOREAN)
    [listed] = reading.list_experiments(visit)
    state = reading.experiment_story(visit, listed.experiment.experiment_id)
    verdict = verdict_sentence(state, words)
    text = text_of_pdf(ab_report(state, verdict, words))
    assert verdict in text
    for told in (state.experiment.experiment_name, "현재 모델", "평균 평점", f"{state.planned_users:,}"):
        assert told in text


def test_both_pages_offer_their_report(visit, story):
    for page in ("runs", "ab-tests"):
        assert "PDF 보고서" in [element.proto.label for element in open_page(page, "ko").get("download_button")]
