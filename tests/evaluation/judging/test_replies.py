"""A judge's reply is one JSON object, or nothing."""

import pytest

from evaluation.judging.replies import rubric_verdict_in, winner_in


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "정확합니다.", "score": 4}',
        '\n```json\n{"reason": "정확합니다.", "score": 4}\n```\n',
        '<think>4점? {"score": 1}</think>{"score": 4, "reason": "정확합니다."}',
    ],
    ids=["plain", "fence", "thoughts"],
)
def test_a_score_with_its_reason_is_read(text):
    verdict = rubric_verdict_in(text)
    assert verdict is not None
    assert (verdict.score, verdict.reason, verdict.share) == (4, "정확합니다.", 0.75)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4점입니다.",
        '점수: {"reason": "a", "score": 4}',
        '{"reason": "a", "score": 4} 이상입니다.',
        '{"reason": "a", "score": 6}',
        '{"reason": "a", "score": 0}',
        '{"reason": "a", "score": 4.0}',
        '{"reason": "a", "score": "4"}',
        '{"reason": "a", "score": true}',
        '{"reason": 1, "score": 4}',
        '{"score": 4}',
        '{"reason": "a", "score": 4, "confidence": 1}',
        '[{"reason": "a", "score": 4}]',
        '{"reason": "a", "score": 4',
        "[" * 100_000,
    ],
)
def test_anything_else_is_no_verdict(text):
    assert rubric_verdict_in(text) is None


@pytest.mark.parametrize("said", ["1", "2", "tie"])
def test_a_winner_is_read(said):
    assert winner_in(f'{{"reason": "r", "winner": "{said}"}}') == (said, "r")


@pytest.mark.parametrize("said", ['"3"', "1", "null", '"A"', '["1"]', "{}"])
def test_no_other_winner_is(said):
    assert winner_in(f'{{"reason": "r", "winner": {said}}}') is None
