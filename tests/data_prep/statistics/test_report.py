"""The report: readable, bilingual, self-contained, and safe whatever the rows say."""

import re

import pytest

from contracts.errors import NotFoundError
from contracts.record import JsonObject
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
    "duplicates": {
        "largest": [
            {"kept": "a.jsonl:1", "rows": 3, "kept_for": "source_order", "similarity": 0.93, "removed": ["a.jsonl:2"]}
        ]
    },
    "examples": {
        "removed": {
            "too_short": [{"row": "a.jsonl:9", "question": "<script>alert(1)</script>", "detail": "2 characters"}]
        },
    },
    "masking": {
        "rows": 4,
        "masked_rows": 1,
        "dropped_rows": 2,
        "replaced": {"이름": 1},
        "kept": {"이메일": 3},
        "examples": {"이름": ["담당자 [이름]에게", "대표 [이름-7QK2M3XA]의 <b>"]},
    },
    "bias": {
        "rows": 4,
        "rows_with_groups": 2,
        "mean_toxicity": 0.11,
        "attributes": [
            {
                "attribute": "gender",
                "rows": 2,
                "toxicity_gap": 0.0,
                "groups": [
                    {
                        "group": "female",
                        "rows": 2,
                        "share": 0.5,
                        "mean_toxicity": 0.41,
                        "toxic_rows": 1,
                        "biased_rows": 0,
                        "generalising_rows": 1,
                        "flagged": ["a.jsonl:7"],
                    }
                ],
            }
        ],
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
        "먼저 나옴",
        "coming first",
    ):
        assert text in page
    assert "담당자 <mark>[이름]</mark>에게" in page
    assert page.count("<svg") == 4


def test_the_page_needs_nothing_from_elsewhere():
    page = render_report(MANIFEST, STATISTICS)

    assert not re.search(r"(?:src|href)\s*=|@import|url\(|https?://", page)


def test_the_page_tells_what_was_masked_and_what_the_policy_left():
    page = render_report(MANIFEST, STATISTICS)

    assert "4행 가운데 1행에서 가렸습니다. 개인정보 때문에 제외한 행은 2행입니다." in page
    assert "Masked in 1 of 4 rows; 2 rows were taken out" in page
    assert "정책에 따라 남긴 것: 이메일 3" in page
    assert "Left in by the policy: e-mail 3" in page
    assert "대표 <mark>[이름-7QK2M3XA]</mark>의 &lt;b&gt;" in page


def test_the_page_tells_whom_the_rows_speak_of_and_where_to_look():
    page = render_report(MANIFEST, STATISTICS)

    for text in (
        "표본 4행 가운데 2행이",
        "Of a sample of 4 rows, 2 speak",
        "성별",
        "gender",
        "여성",
        "women",
        "0.410",
        "a.jsonl:7",
    ):
        assert text in page


def test_a_version_from_before_these_reports_can_still_be_shown():
    older = {name: told for name, told in STATISTICS.items() if name not in {"masking", "bias"}}

    assert "가린 개인정보" in render_report(MANIFEST, older)


def test_what_rows_say_is_text_not_markup():
    page = render_report(MANIFEST, STATISTICS)

    assert "<script>alert" not in page
    assert "<b>안전</b>" not in page


def test_the_language_it_opens_in_is_that_asked_for():
    assert "<body class=en>" in render_report(MANIFEST, STATISTICS, "en")


def test_a_folder_without_statistics_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="no statistics"):
        write_report(tmp_path)
