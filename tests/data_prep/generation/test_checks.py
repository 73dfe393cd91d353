"""Each rule's test names the fault it gives."""

import pytest

from contracts.enums import QuestionTemplate, SampleFault
from contracts.generation import GenerateRequest
from data_prep.documents.chunks import Chunk
from data_prep.generation.checks import check_candidate, evidence_span, korean_share
from data_prep.generation.grounding import source_of
from data_prep.generation.templates import Candidate, Passage, question_for

PASSAGE = (
    "확정된 금액은 후불 카드 이용자에게는 다음 청구에서 차감하고, 선불 이용자에게는 충전하여 준다. 현금 지급은 하지 않는다. "
    "지사는 신청서가 접수된 날부터 45일 이내에 결과를 확정하며, 산정 내역과 대조 자료는 세무 소명에 쓰일 수 있으므로 8년간 보존한다. "
    "운행 기록을 고쳐서 낸 사실이 드러나면 소급액 전부를 환수하고 1년간 소급 신청을 받지 않는다."
)
REQUEST = GenerateRequest(dataset_name="demo", documents=["x"], model="m")
CHUNK = Chunk("0" * 16, "toll.md", "a" * 64, 0, len(PASSAGE), PASSAGE)
SHOWN = Passage(CHUNK, PASSAGE, "화물차 심야 할인 소급 적용 지침", ("처리",), "", "")


def fault_of(question: str, answer: str, template: QuestionTemplate = QuestionTemplate.QA) -> SampleFault | None:
    asked = question_for(SHOWN, template, REQUEST)
    return check_candidate(Candidate(((question, answer),)), asked, source_of(SHOWN.matter), REQUEST).fault


@pytest.mark.parametrize(
    ("question", "answer", "fault"),
    [
        ("심야 할인 소급 결과는 언제 확정되나요?", "신청서가 접수된 날부터 45일 이내에 확정됩니다.", None),
        (
            "화물차 심야 할인 소급액을 현금으로 받을 수 있나요?",
            "현금 지급은 하지 않으며, 후불 카드는 다음 청구에서 차감합니다.",
            None,
        ),
        ("심야 할인 소급 자료는 몇 년간 보존하나요?", "8년", None),
        ("심야 할인 소급 결과는 언제 확정되나요?", "  ", SampleFault.EMPTY),
        ("질문", "답변", SampleFault.COPIES_PROMPT),
        ("심야 할인 소급이란?", "업무 담당자나 민원인이 실제로 물을 만한 것을 묻습니다.", SampleFault.COPIES_PROMPT),
        ("심야 할인 소급 처리는 어떻게 하나요?", PASSAGE, SampleFault.COPIES_PROMPT),
        ("심야 할인 소급 결과는 언제 확정되나요?", "The result is fixed within 45 days.", SampleFault.WRONG_LANGUAGE),
        ("이 문서에서 정한 보존 기간은 얼마인가요?", "8년간 보존합니다.", SampleFault.REFERS_TO_PASSAGE),
        ("위 내용에 따르면 결과는 언제 확정되나요?", "45일 이내에 확정됩니다.", SampleFault.REFERS_TO_PASSAGE),
        (
            "심야 할인 소급 결과는 언제 확정되나요?",
            "신청서가 접수된 날부터 30일 이내에 확정됩니다.",
            SampleFault.WRONG_NUMBER,
        ),
        (
            "2019년 심야 할인 소급 결과는 언제 확정되나요?",
            "접수된 날부터 45일 이내에 확정됩니다.",
            SampleFault.WRONG_NUMBER,
        ),
        (
            "휴게소 유실물은 어디에서 찾나요?",
            "고객센터에 전화하여 분실 장소를 말씀하시면 됩니다.",
            SampleFault.NOT_GROUNDED,
        ),
    ],
)
def test_a_sample_gets_the_fault_it_has(question, answer, fault):
    assert fault_of(question, answer) is fault


def test_a_summary_is_judged_by_its_answer_alone():
    said = "지사는 접수된 날부터 45일 이내에 결과를 확정하고, 현금으로는 지급하지 않는다."
    assert fault_of("", said, QuestionTemplate.SUMMARY) is None
    assert fault_of("", "", QuestionTemplate.SUMMARY) is SampleFault.EMPTY


def test_one_bad_turn_is_enough_against_a_conversation():
    turns = (
        ("심야 할인 소급 결과는 언제 확정되나요?", "신청서가 접수된 날부터 45일 이내에 확정됩니다."),
        ("자료는 얼마나 보존하나요?", "99년간 보존합니다."),
    )
    asked = question_for(SHOWN, QuestionTemplate.CHAT, REQUEST)
    verdict = check_candidate(Candidate(turns), asked, source_of(SHOWN.matter), REQUEST)
    assert verdict.fault is SampleFault.WRONG_NUMBER
    assert "99" not in verdict.detail


def test_the_title_above_a_passage_may_be_used_but_is_no_copy_of_the_prompt():
    question = "화물차 심야 할인 소급 적용 지침에서 현금 지급을 하나요?"
    assert fault_of(question, "현금 지급은 하지 않습니다.") is None


def test_evidence_is_found_whatever_the_white_space():
    passage = "결과를\n확정하며, 자료는  보존한다."
    assert evidence_span("결과를 확정하며,", passage) == (0, 9)
    assert evidence_span("없는 구절", passage) is None
    assert evidence_span("", passage) is None


def test_a_text_without_letters_counts_as_korean():
    assert korean_share("15%") == 1.0
    assert korean_share("KTX 열차") == pytest.approx(0.4)
