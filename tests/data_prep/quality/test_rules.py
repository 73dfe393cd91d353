"""Each rule by the reason it gives."""

import unicodedata

import pytest

from contracts.enums import RemovalReason
from data_prep.normalisation import comparable, normalise
from data_prep.quality.foul_language import check_foul_language
from data_prep.quality.length import MAX_ROW_CHARACTERS, check_length
from data_prep.quality.repetition import check_repetition
from data_prep.quality.score import check_quality_score, score_quality
from data_prep.rows import Message, Row


def row(question: str, answer: str, row_id: str = "a:1", **metadata) -> Row:
    return Row(row_id, (Message("user", question), Message("assistant", answer)), metadata)


def test_normalising_composes_hangul_and_drops_what_cannot_be_seen():
    text = unicodedata.normalize("NFD", "영업관리처") + "\u200b \u00a0 에서\r\n\r\n\r\n\r\n안내\ufeff  "

    assert normalise(text) == "영업관리처 에서\n\n안내"


def test_comparing_forgets_case_space_and_punctuation_but_no_letter():
    assert comparable("담당 하나요?") == comparable("담당하나요")
    assert comparable("4312") != comparable("4313")


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("보존 기간은 얼마인가요?", "네.", RemovalReason.TOO_SHORT),
        ("?", "충분히 긴 답변입니다.", RemovalReason.TOO_SHORT),
        ("보존 기간은 얼마인가요?", "가나 " * MAX_ROW_CHARACTERS, RemovalReason.TOO_LONG),
        ("보존 기간은 얼마인가요?", "5년입니다.", None),
    ],
)
def test_length_rules(question, answer, reason):
    removal = check_length(row(question, answer), min_answer_characters=5)

    assert (removal.reason if removal else None) == reason


@pytest.mark.parametrize(
    "answer", ["확인 중입니다. " * 9, "네 네 " * 15, "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ", "담당자에게 문의하세요. " * 8]
)
def test_an_answer_that_repeats_itself_is_removed(answer):
    removal = check_repetition(row("질문입니다.", answer))

    assert removal is not None
    assert removal.reason is RemovalReason.REPETITION


def test_a_list_of_similar_articles_is_no_repetition():
    articles = "\n".join(
        f"{n}. 제{n}조에 따른 서류를 제출한 사람에게 {n * 3}일 이내에 결과를 통지한다." for n in range(1, 9)
    )

    assert check_repetition(row("절차를 알려 주세요.", articles)) is None


@pytest.mark.parametrize(
    "text",
    [
        "이 씨발 왜 안 돼",
        "시1발",
        "씨.발 진짜",
        "ㅅㅂ 전화 좀",
        "병신들이",
        "개새끼",
        "지랄 말고",
        "미친놈들이",
        "ㅈㄹ 그만",
        "썅,",
    ],
)
def test_foul_language_is_found_through_its_disguises(text):
    removal = check_foul_language(row(text, "죄송합니다. 바로 확인하겠습니다."))

    assert removal is not None
    assert removal.reason is RemovalReason.FOUL_LANGUAGE
    assert text not in removal.detail


@pytest.mark.parametrize(
    "text",
    [
        "분실한 카드는 다시발급 신청을 하십시오.",
        "날씨 발표와 시발점, 임시발령을 확인합니다.",
        "질병신고와 장병신청은 지사에서 받습니다.",
        "새끼손가락을 다쳤습니다.",
        "5개년 계획의 존나드 항목",
        "역시 발송이 늦었습니다.",
    ],
)
def test_harmless_words_that_hold_a_foul_one_stay(text):
    assert check_foul_language(row(text, "알겠습니다.")) is None


@pytest.mark.parametrize(
    ("answer", "worse_than"),
    [
        ("영업관\ufffd\ufffd에서 \ufffd\ufffd합니다", "영업관리처에서 담당합니다"),
        ("영업관리처에서 담당하며 그", "영업관리처에서 담당합니다."),
        ("가가가가가가가가가가", "영업관리처에서 담당합니다."),
    ],
)
def test_a_defect_lowers_the_quality_score(answer, worse_than):
    question = "어느 부서가 담당하나요?"

    assert score_quality(row(question, answer)).value < score_quality(row(question, worse_than)).value


@pytest.mark.parametrize(
    "answer", ["7일입니다.", "내선 4312번으로 문의해 주십시오.", "영업관리처입니다.", "제14호 서식을 내시면 됩니다."]
)
def test_a_short_but_whole_answer_passes_the_default_bar(answer):
    assert check_quality_score(score_quality(row("처리 기한이 어떻게 되나요?", answer)), 0.7) is None


def test_an_answer_that_only_echoes_the_question_is_worth_nothing():
    assert score_quality(row("담당 부서가 어디인가요?", "담당 부서가 어디인가요?")).value == 0


def test_the_score_that_came_with_the_row_counts_where_it_is_worse():
    good_text = "영업관리처에서 담당합니다."

    assert score_quality(row("어디인가요?", good_text, quality_score=0.3)).value == 0.3
    assert (
        score_quality(row("어디인가요?", good_text, quality_score=0.99)).value
        == score_quality(row("어디인가요?", good_text)).value
        or 0.99
    )
    removal = check_quality_score(score_quality(row("어디인가요?", good_text, quality_score=0.3)), 0.7)
    assert removal is not None
    assert removal.reason is RemovalReason.LOW_QUALITY
