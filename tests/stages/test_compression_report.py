"""What people read of a compression."""

import pytest

from contracts.enums import CompressionMethod
from contracts.words import COMPRESSION_METHODS
from stages.compression_report import LINES, compression_lines, cost_lines
from tests.evaluation.builders import report
from tests.stages.compression import FACTS


def test_accuracy_loss_size_and_speed_are_told_in_korean():
    judged = report(base=190, tuned=186).model_copy(update={"parent_job_id": 4})
    assert cost_lines(FACTS, judged, "ko") == [
        "방식: INT8(가중치와 활성값 8비트 정수), 원본은 작업 4번의 모델",
        "크기: 2.0 MB에서 1.1 MB로(원본의 55.0%)",
        "생성 속도(사용자 1명): 초당 100.0토큰에서 150.0토큰으로, 1.50배(측정 3회의 범위 1.40~1.60배)",
        "메모리: 2,000 MB에서 1,200 MB로",
        "속도를 잰 곳: vllm, 1 x H100",
        "손실: 0.5000에서 0.5200로",
        "정확도(regulations): 원본 95.0% (190/200, 95 % 신뢰구간 91.0%~97.3%), "
        "압축 93.0% (186/200, 95 % 신뢰구간 88.6%~95.8%)",
        "정확도 손실(regulations): +2.0 %p(95 % 신뢰구간 -3.0~+7.1 %p). 새로 틀린 문항 14개, 새로 맞힌 문항 10개"
        "(맥니마 정확 검정 p = 0.541)",
    ]


def test_the_same_is_told_in_english():
    judged = report(base=190, tuned=186).model_copy(update={"parent_job_id": 4})
    text = "\n".join(cost_lines(FACTS, judged, "en"))
    assert "Accuracy lost (regulations): +2.0 points" in text
    assert "Speed (1 at a time): 100.0 tokens/s became 150.0, x 1.50 (1.40 to 1.60 in 3 rounds)" in text
    assert not any("가" <= letter <= "힣" for letter in text)


def test_a_speed_that_was_not_measured_says_why():
    facts = FACTS.model_copy(update={"speed": None, "speed_missing": "not asked for"})
    assert "생성 속도: 재지 않음(not asked for)" in compression_lines(facts, "ko")


def test_a_student_is_named_with_its_distance_to_the_parent():
    facts = FACTS.model_copy(
        update={
            "method": CompressionMethod.DISTILL,
            "student": "demo-small",
            "divergence_before": 2.0,
            "divergence_after": 0.3,
        }
    )
    lines = compression_lines(facts, "en")
    assert "Student: demo-small" in lines
    assert "Distance to the parent (KL a token): 2.0000 before the training, 0.3000 after" in lines


@pytest.mark.parametrize("method", list(CompressionMethod))
def test_every_method_has_a_name_in_both_languages(method):
    assert COMPRESSION_METHODS[method].korean
    assert COMPRESSION_METHODS[method].english


def test_both_languages_tell_the_same_numbers():
    import string

    for wording in LINES.values():
        korean, english = (
            {name for _, name, _, _ in string.Formatter().parse(text) if name}
            for text in (wording.korean, wording.english)
        )
        assert korean == english
