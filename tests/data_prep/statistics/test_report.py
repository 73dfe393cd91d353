"""The report: readable, bilingual, self-contained, and safe whatever the rows say."""

import re

import pytest

from contracts.enums import PersonalDataKind, RemovalReason
from contracts.errors import NotFoundError
from contracts.record import JsonObject
from data_prep.rows import Message, Row
from data_prep.statistics import report
from data_prep.statistics.examples import masked_example
from data_prep.statistics.report import render_report, write_report

HISTOGRAM: JsonObject = {"edges": [0, 0.5, 1], "counts": [1, 3]}
STATISTICS: JsonObject = {
    "rows": 4,
    "splits": {"train": {"rows": 3}, "validation": {"rows": 0}, "test": {"rows": 1}},
    "categories": {"통행료": 3, "<b>안전</b>": 1},
    "sources": 1,
    "largest_sources": {"안내.md": 4},
    "histograms": dict.fromkeys(("question_characters", "answer_characters", "quality_score", "toxicity"), HISTOGRAM),
    "quality_before": {"edges": [0, 0.5, 1], "counts": [3, 3]},
    "turns": {"2": 4},
    "sample": {"rows": 4, "words": 9, "distinct_words": 5, "frequent_words": {"통행료는": 3}},
    "duplicates": {"largest": [{"kept": "a.jsonl:1", "rows": 3, "similarity": 0.93, "removed": ["a.jsonl:2"]}]},
    "examples": {
        "removed": {
            "too_short": [{"row": "a.jsonl:9", "question": "<script>alert(1)</script>", "detail": "2 characters"}]
        },
        "masked": {"이름": [{"row": "a.jsonl:3", "text": "담당자 [이름]에게"}]},
    },
}
MANIFEST: JsonObject = {
    "name": "demo",
    "content_hash": "abcdef0123456789",
    "samples": {"train": 3, "validation": 0, "test": 1},
    "removed": {"too_short": 1, "near_duplicate": 2},
    "masked": {"이름": 1},
    "total_samples": 4,
    "quality_score": 0.93,
    "steps": [{"step": "quality", "rows_in": 5, "rows_out": 4, "changed": 0, "removed": {"too_short": 1}}],
    "sources": [{"path": "/srv/in/a.jsonl", "rows": 7, "sha256": "0" * 64}],
}


def test_the_page_shows_what_was_found_in_both_languages():
    page = render_report(MANIFEST, STATISTICS)

    for text in (
        "데이터셋 보고서",
        "Dataset report",
        "너무 짧은 답변",
        "answer too short",
        "통행료는",
        "0.930",
        "a.jsonl:1",
    ):
        assert text in page
    assert "담당자 <mark>[이름]</mark>에게" in page
    assert page.count("<svg") == 4


def test_the_page_needs_nothing_from_elsewhere():
    page = render_report(MANIFEST, STATISTICS)

    assert not re.search(r"(?:src|href)\s*=|@import|url\(|https?://", page)


def test_what_rows_say_is_text_not_markup():
    page = render_report(MANIFEST, STATISTICS)

    assert "<script>alert" not in page
    assert "<b>안전</b>" not in page


def test_the_language_it_opens_in_is_that_asked_for():
    assert "<body class=en>" in render_report(MANIFEST, STATISTICS, "en")


def test_every_reason_and_kind_has_words():
    assert set(report._REASONS) == set(RemovalReason)
    assert set(report._KINDS_ENGLISH) == set(PersonalDataKind)


def test_an_example_shows_the_place_and_never_more():
    row = Row("a:1", (Message("user", "가" * 60 + " [전화번호]로 연락 주세요"), Message("assistant", "네")), {})

    example = masked_example(PersonalDataKind.PHONE_NUMBER, row)

    assert example is not None
    assert str(example["text"]).startswith("…가")
    assert str(example["text"]).endswith("[전화번호]로 연락 주세요")
    assert masked_example(PersonalDataKind.NAME, row) is None


def test_a_folder_without_statistics_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="no statistics"):
        write_report(tmp_path)
