"""What the policy does with personal data: masks, pseudonyms, dropped rows, reasons to keep."""

import pytest

from contracts.data_policy import MaskingPolicy
from contracts.enums import MaskingAction, PersonalDataKind
from contracts.errors import InvalidRequestError
from data_prep.masking.masker import Masker
from data_prep.masking.report import MaskingTally

PHONE, EMAIL, RESIDENT = PersonalDataKind.PHONE_NUMBER, PersonalDataKind.EMAIL, PersonalDataKind.RESIDENT_NUMBER
KEY = b"0123456789abcdef"


def pseudonyms(*kinds):
    return MaskingPolicy(actions=dict.fromkeys(kinds, MaskingAction.PSEUDONYMISE))


def test_the_same_value_has_the_same_pseudonym_however_it_is_written():
    masker = Masker(pseudonyms(PHONE), KEY)

    rows = masker.mask_rows([["010-1234-5678로"], ["전화는 01012345678,"], ["+82 10 1234 5678"], ["010-9999-5678"]])

    first, second, third, other = (row.texts[0] for row in rows)
    token = first.removesuffix("로")
    assert token.startswith("[전화번호-") and len(token) == len("[전화번호-]") + 8
    assert second == f"전화는 {token}," and third == token
    assert other != token


def test_pseudonyms_depend_on_the_key_and_not_on_the_row():
    text = "메일은 hong@example.com입니다"

    one = Masker(pseudonyms(EMAIL), KEY).mask([text]).texts
    again = Masker(pseudonyms(EMAIL), KEY).mask(["다른 글", text]).texts[1:]
    other = Masker(pseudonyms(EMAIL), b"another key 1234").mask([text]).texts

    assert one == again != other


def test_pseudonyms_are_not_masked_again():
    masker = Masker(pseudonyms(PHONE), KEY)
    once = masker.mask(["010-1234-5678로 연락 주세요"])

    assert masker.mask(once.texts).texts == once.texts


def test_pseudonyms_without_a_key_are_refused_and_finding_is_not():
    masker = Masker(pseudonyms(PHONE))

    assert len(masker.find(["010-1234-5678"])[0]) == 1
    with pytest.raises(InvalidRequestError, match="key"):
        masker.mask(["010-1234-5678"])


def test_a_row_is_dropped_for_its_kind_and_masked_all_the_same():
    masker = Masker(MaskingPolicy(actions={RESIDENT: MaskingAction.DROP_ROW}))

    dropped, stays = masker.mask_rows([["주민번호 900101-1234567"], ["010-1234-5678"]])

    assert dropped.drop is RESIDENT and dropped.texts == ("주민번호 [주민등록번호]",)
    assert stays.drop is None


def test_what_is_kept_stays_in_the_text_and_is_told():
    policy = MaskingPolicy(actions={PHONE: MaskingAction.KEEP}, keep_reasons={PHONE: "공공기관의 번호"})

    (row,) = Masker(policy).mask_rows([["hong@example.com 또는 02-123-4567", "02-765-4321"]])

    assert row.texts == ("[이메일] 또는 02-123-4567", "02-765-4321")
    assert [[datum.kind for datum in found] for found in row.found] == [[EMAIL], []]
    assert [datum.kind for datum in row.kept] == [PHONE, PHONE]
    assert (row.kept[0].start, row.kept[0].end) == (20, 31)
    assert Masker(policy).find(["02-765-4321"]) == [[]]


def test_the_organisations_own_numbers_are_left_alone_however_they_are_written():
    masker = Masker(MaskingPolicy(public_values=["054-811-1234", "help@example.go.kr"]))

    row = masker.mask(["054)811-1234, 0548111234, help@example.go.kr, 054-811-9999"])

    assert row.texts == ("054)811-1234, 0548111234, help@example.go.kr, [전화번호]",)


def test_representative_numbers_are_masked_on_demand_only():
    text = "대표번호 1588-2504로 전화하십시오."

    assert Masker().mask([text]).texts == (text,)
    on_demand = Masker(MaskingPolicy(representative_numbers=True)).mask([text])
    assert on_demand.texts == ("대표번호 [전화번호]로 전화하십시오.",)


def test_finds_below_the_least_score_are_left_alone():
    text = "031.123.4567 900101-1234567"

    assert len(Masker(MaskingPolicy(min_score=0.9)).find([text])[0]) == 1
    assert len(Masker().find([text])[0]) == 2


def test_many_rows_give_what_each_gives_alone():
    rows = [["010-1234-5678"], [], ["", "박서진입니다"], ["저는 박서진입니다.", "박서진 님 hong@example.com"]]
    masker = Masker()

    assert masker.mask_rows(rows) == [masker.mask(row) for row in rows]
    assert masker.find_rows(rows) == [masker.find(row) for row in rows]


def test_the_report_counts_and_shows_no_value():
    policy = MaskingPolicy(
        actions={PHONE: MaskingAction.KEEP, RESIDENT: MaskingAction.DROP_ROW}, keep_reasons={PHONE: "공공기관의 번호"}
    )
    tally = MaskingTally()
    texts = ["메일 hong@example.com", "주민번호 900101-1234567", "a@example.com 02-123-4567", "없음"]
    for row in Masker(policy).mask_rows([[text] for text in texts]):
        tally.add(row)

    report = tally.report()

    assert (report.rows, report.masked_rows, report.dropped_rows) == (4, 3, 1)
    assert report.replaced == {"이메일": 2, "주민등록번호": 1}
    assert report.kept == {"전화번호": 1}
    assert report.examples == {"이메일": ["메일 [이메일]"], "주민등록번호": ["주민번호 [주민등록번호]"]}
    shown = report.model_dump_json()
    assert not any(value in shown for value in ("hong", "900101", "123-4567", "a@"))
