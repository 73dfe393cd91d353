"""Masking: what is found however it is written, and what must stay."""

import re
from pathlib import Path

import pytest

from data_prep.masking.masker import find_personal_data, mask

REPOSITORY_ROOT = Path(__file__).resolve().parents[3]


def masked(text: str) -> str:
    return mask([text])[0].text


def test_the_customers_acceptance_example_holds():
    text = masked("홍길동의 주민등록번호는 123456-1234567입니다.")

    assert text == "[이름]의 주민등록번호는 [주민등록번호]입니다."


FRAMES = ("{}", "{}입니다.", "제 것은 {}이고요", "({})", "값:{},", "{}으로 보내 주세요", "{}를 확인해 주십시오.")


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("900101-1234567", "[주민등록번호]"),
        ("123456-1234567", "[주민등록번호]"),
        ("900101 - 2345678", "[주민등록번호]"),
        ("９００１０１－１２３４５６７", "[주민등록번호]"),
        ("900101–1234567", "[주민등록번호]"),
        ("900101-1******", "[주민등록번호]"),
        ("9001011234568", "[주민등록번호]"),
        ("900101-5123456", "[외국인등록번호]"),
        ("010-1234-5678", "[전화번호]"),
        ("01012345678", "[전화번호]"),
        ("010 1234 5678", "[전화번호]"),
        ("010.1234.5678", "[전화번호]"),
        ("０１０－１２３４－５６７８", "[전화번호]"),
        ("+82-10-1234-5678", "[전화번호]"),
        ("02-123-4567", "[전화번호]"),
        ("031-123-4567", "[전화번호]"),
        ("(031)123-4567", "[전화번호]"),
        ("070-1234-5678", "[전화번호]"),
        ("hong.gildong+a@example.co.kr", "[이메일]"),
        ("hong＠example.com", "[이메일]"),
        ("hong 골뱅이 example.com", "[이메일]"),
        ("1234-5678-9012-3456", "[카드번호]"),
        ("4111 1111 1111 1111", "[카드번호]"),
        ("4111111111111111", "[카드번호]"),
        ("11-22-333333-44", "[운전면허번호]"),
        ("123-45-67890", "[사업자등록번호]"),
        ("M12345678", "[여권번호]"),
        ("M123A4567", "[여권번호]"),
        ("12가3456", "[차량번호]"),
        ("123가 4567", "[차량번호]"),
        ("서울 12가 3456", "[차량번호]"),
        ("192.168.10.25", "[IP주소]"),
    ],
)
def test_identifiers_are_found_in_every_spelling_and_before_every_particle(frame, value, token):
    assert masked(frame.format(value)) == frame.format(token)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("신한은행 110-123-456789로 입금했습니다.", "신한은행 [계좌번호]로 입금했습니다."),
        ("계좌번호는 12345678901234입니다.", "계좌번호는 [계좌번호]입니다."),
        ("농협 352-1234-5678-90으로 보냅니다.", "농협 [계좌번호]으로 보냅니다."),
        ("주민번호 9001011234567을 적었습니다.", "주민번호 [주민등록번호]을 적었습니다."),
        ("면허번호 112233333344입니다.", "면허번호 [운전면허번호]입니다."),
        ("사업자번호 1234567890입니다.", "사업자번호 [사업자등록번호]입니다."),
        ("연락처는 0212345678입니다.", "연락처는 [전화번호]입니다."),
        ("연락처(010-1234-5678)로", "연락처([전화번호])로"),
        ("팩스 02)123-4567로", "팩스 [전화번호]로"),
        ("면허 서울 12-345678-90입니다.", "면허 [운전면허번호]입니다."),
        ("11가1234호 차량입니다.", "[차량번호]호 차량입니다."),
    ],
)
def test_numbers_without_a_form_of_their_own_are_known_by_the_word_before(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("홍길동 고객님, 안녕하십니까?", "[이름] 고객님, 안녕하십니까?"),
        ("담당자 김민수에게 문의하세요.", "담당자 [이름]에게 문의하세요."),
        ("담당자는 김민수입니다.", "담당자는 [이름]입니다."),
        ("저는 이영희입니다.", "저는 [이름]입니다."),
        ("성명: 남궁민수", "성명: [이름]"),
        ("이름: 허준", "이름: [이름]"),
        ("신청인: 김 철 수", "신청인: [이름]"),
        ("국민은행 (예금주 홍길동)", "국민은행 (예금주 [이름])"),
        ("이지은 씨가 신고했습니다.", "[이름] 씨가 신고했습니다."),
        ("박서준(010-1234-5678)에게", "[이름]([전화번호])에게"),
        ("영업소 김하은 과장님께 전달", "영업소 [이름] 과장님께 전달"),
        ("최유나의 연락처를 지웁니다.", "[이름]의 연락처를 지웁니다."),
    ],
)
def test_names_are_found_by_title_label_introduction_and_possessive(text, expected):
    assert masked(text) == expected


def test_a_name_found_in_one_turn_is_masked_in_all():
    question, answer = mask(["저는 박서진입니다. 환불되나요?", "네, 박서진 님. 접수자는 박서진으로 기록됩니다."])

    assert question.text == "저는 [이름]입니다. 환불되나요?"
    assert answer.text == "네, [이름] 님. 접수자는 [이름]으로 기록됩니다."


def test_several_kinds_in_one_text_are_all_masked_and_named():
    (result,) = mask(["홍길동 고객님 010-1234-5678, hong@example.kr, 900101-1234567"])

    assert result.text == "[이름] 고객님 [전화번호], [이메일], [주민등록번호]"
    assert sorted(datum.kind.value for datum in result.found) == ["이름", "이메일", "전화번호", "주민등록번호"]


def test_masking_twice_changes_nothing_more():
    once = masked("담당자 김민수, 010-1234-5678, 신한은행 110-123-456789, 12가3456")

    assert masked(once) == once
    assert find_personal_data([once]) == [[]]


@pytest.mark.parametrize(
    "text",
    [
        "내선 4312로 문의해 주십시오.",
        "내선 4312번에서 안내해 드립니다.",
        "제12조 제3항에 따라 2026년 11월 22일까지 제출합니다.",
        "서식 제14호를 작성하고 5년간 보존합니다.",
        "금 1,234,567원을 30일 이내에 지급합니다.",
        "2026-11-22 14:30:00부터 12시간 동안",
        "2026. 11. 22.(일) 09:00~18:00",
        "총 120조 3000억 원 규모입니다.",
        "제12호 2026.3.1. 개정",
        "대표번호 1588-2504로 전화하십시오.",
        "법인등록번호 110111-1234567",
        "버전 1.2.3.4로 올립니다.",
        "시각은 202611221430입니다.",
        "주문번호 2026112212345입니다.",
        "관리번호 2026-0012-3456, 문서번호 123-45-2026, 고객번호 1234-5678",
        "고객님의 전화번호를 확인합니다.",
        "이용자의 연락처는 보관하지 않습니다.",
        "담당 부서는 영업관리처입니다.",
        "담당자 지정은 7일 이내에 합니다.",
        "신청인 정보를 확인하고 담당자가 위험도를 평가합니다.",
        "저는 공무원입니다.",
        "이상한 과장 광고를 신고합니다.",
        "기록물 관리 기준상 고객 제안 보존 기간",
        "장애인 차량 통행료 감면을 신청합니다.",
        "산소 18~23.5%, 통행료의 30~50%",
        "은행에 1500000000원을 입금했습니다.",
    ],
)
def test_official_numbers_and_words_stay(text):
    assert masked(text) == text


def test_nothing_in_the_demo_documents_and_facts_is_taken_for_personal_data():
    files = [path for folder in ("facts", "documents") for path in (REPOSITORY_ROOT / "demo" / folder).rglob("*.*")]
    assert len(files) > 20

    found = {
        path.name: [(datum.kind.value, text[datum.start : datum.end]) for datum in find_personal_data([text])[0]]
        for path in files
        if (text := path.read_text(encoding="utf-8"))
    }

    assert {name: data for name, data in found.items() if data} == {}


PERSONS_OF_BILLS = frozenset(
    [
        "이석태",
        "양현아",
        "황교안",
        "문재인",
        "김대중",
        "게이조",
        "오부치",
        "조두순",
        "강기정",
        "슘페터",
        "이순신",
        "트럼프",
    ]
)


@pytest.mark.slow
def test_bills_hold_names_of_members_and_hardly_anything_else(shared_data):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(shared_data / "assembly-bills" / "bill_texts_first8000.parquet")
    texts = [text for text in table.column("propose_reason").to_pylist()[:2000] if text]

    found = [
        (number, datum.kind.value, text[datum.start : datum.end], text[datum.end : datum.end + 6])
        for number, text in enumerate(texts)
        for datum in find_personal_data([text])[0]
    ]

    assert len(found) > 50
    strange = [
        one
        for one in found
        if one[1] != "이름"
        or (one[2].split()[-1] not in PERSONS_OF_BILLS and not re.match(r"\s?(의원|,|·|전|前|외|씨|국회)", one[3]))
    ]
    assert len({number for number, *_ in strange}) <= 0.005 * len(texts), strange


@pytest.mark.parametrize(
    "text",
    [
        "1" * 20000,
        "12-" * 7000,
        "계좌 " + "1234 " * 4000,
        "a@" * 10000,
        "a." * 9000 + "@" + "b." * 9000,
        "은행 " * 5000 + "1",
    ],
    ids=["digits", "groups", "account", "at signs", "e-mail", "context"],
)
@pytest.mark.timeout(120)
def test_no_text_makes_the_patterns_run_away(text):
    assert len(masked(text)) <= len(text)
