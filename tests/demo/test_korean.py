import pytest

from demo.korean import Word, final_consonant, with_particle


@pytest.mark.parametrize(
    ("word", "particle", "expected"),
    [
        ("서식", "을", "서식을"),
        ("환불 신고", "을", "환불 신고를"),
        ("영업관리처", "이", "영업관리처가"),
        ("휴게시설팀", "이", "휴게시설팀이"),
        ("CCTV 영상 반출", "은", "CCTV 영상 반출은"),
        ("CCTV", "은", "CCTV는"),
        ("URL", "은", "URL은"),
        ("터널", "으로", "터널로"),
        ("7일", "으로", "7일로"),
        ("5년", "으로", "5년으로"),
        ("제14호", "을", "제14호를"),
        ("개인정보", "과", "개인정보와"),
        ("발파 계획", "과", "발파 계획과"),
    ],
)
def test_a_particle_fits_the_word_before_it(word, particle, expected):
    assert with_particle(word, particle) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("010", "010으로"), ("4311", "4311로"), ("4312", "4312로"), ("4313", "4313으로"), ("4314", "4314로"),
        ("4315", "4315로"), ("4316", "4316으로"), ("4317", "4317로"), ("4318", "4318로"), ("4319", "4319로"),
    ],
)  # fmt: skip
def test_a_particle_after_digits_follows_how_they_are_read(number, expected):
    assert with_particle(number, "으로") == expected


def test_brackets_and_quotation_marks_are_not_read():
    assert with_particle("'환불'", "은") == "'환불'은"
    assert with_particle("서식(제14호)", "을") == "서식(제14호)를"


def test_a_word_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="no particle can follow"):
        final_consonant("(!)")


def test_an_unknown_particle_is_refused_with_the_allowed_ones():
    with pytest.raises(ValueError, match="은, 이, 을"):
        with_particle("환불", "께서")


def test_a_word_takes_its_particle_from_the_format():
    form = "{e:을} {e}"
    assert form.format(e=Word("낙하물 신고")) == "낙하물 신고를 낙하물 신고"
