"""The bias report: whom the rows name, and how they speak of them."""

import pytest

from contracts.enums import ProtectedAttribute
from data_prep.quality.bias import bias_report, protected_groups
from data_prep.rows import Message, Row


def row(number: int, answer: str) -> Row:
    return Row(f"a:{number}", (Message("user", "어떻게 생각하나요?"), Message("assistant", answer)))


@pytest.mark.parametrize(
    ("text", "attribute", "group"),
    [
        ("여성 직원이 발표했다", ProtectedAttribute.GENDER, "female"),
        ("78세 어르신", ProtectedAttribute.AGE, "old"),
        ("전라도 사람", ProtectedAttribute.REGION, "jeolla"),
        ("무슬림 동료", ProtectedAttribute.RELIGION, "muslim"),
        ("휠체어를 탄 학생", ProtectedAttribute.DISABILITY, "physical"),
        ("중국인 유학생", ProtectedAttribute.NATIONALITY, "chinese"),
        ("성소수자 인권", ProtectedAttribute.SEXUAL_ORIENTATION, "minority"),
        ("보수 성향 유권자", ProtectedAttribute.POLITICS, "right"),
        ("진보 진영의 주장", ProtectedAttribute.POLITICS, "left"),
        ("의사와 변호사", ProtectedAttribute.STATUS, "occupation"),
        ("장애가 있는 사람", ProtectedAttribute.DISABILITY, "any"),
    ],
)
def test_a_group_is_found_by_its_name(text, attribute, group):
    assert group in protected_groups(text)[attribute]


@pytest.mark.parametrize(
    "text",
    [
        "통행료는 거리에 따라 정해집니다.",
        "게이트를 통과하고 게이지를 봅니다.",
        "제20대 국회 제60조",
        "교량 신축이음 보수와 포장 보수 공사의 진보한 기술",
        "고령분기점에서 호남고속도로와 수도권제1순환고속도로로",
        "시스템 장애가 있을 때 의사결정과 의사소통, 수화열과 애자 점검",
        "마른 노면, 콘크리트 노출, 납부자와 해외동포, 직무교육, 회계부정, 미인가 장신구, 부유물과 근거지",
    ],
)
def test_a_text_about_nobody_names_no_group(text):
    assert protected_groups(text) == {}


def test_the_report_counts_rows_by_group_and_names_the_hostile_ones():
    report = bias_report(
        [
            row(1, "여성 직원과 남성 직원이 함께 발표했습니다."),
            row(2, "여자들은 원래 운전을 못하는 멍청한 것들이다 역겨운 년들"),
            row(3, "통행료는 거리에 따라 정해집니다."),
        ]
    )

    assert (report.rows, report.rows_with_groups) == (3, 2)
    [gender] = report.attributes
    female, male = sorted(gender.groups, key=lambda group: group.group)
    assert (female.rows, male.rows) == (2, 1)
    assert (female.generalising_rows, male.generalising_rows) == (1, 0)
    assert female.flagged == ["a:2"]
    assert female.mean_toxicity > male.mean_toxicity


def test_an_empty_dataset_has_an_empty_report():
    report = bias_report([])

    assert (report.rows, report.attributes) == (0, [])
