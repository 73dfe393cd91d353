"""What single signals see and, as important, what they let pass."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.quality.completeness import is_refusal, is_truncated
from data_prep.quality.fluency import load_fluency_model
from data_prep.quality.formatting import formatting_score
from data_prep.quality.foul_language import _FOUL, foul_words
from data_prep.quality.grammar import grammar_mistakes
from data_prep.quality.repetition import measure_repetition, share_of_runs
from data_prep.quality.toxicity import COLUMNS, SLOTS, hostility_of, load_toxicity_model, toxicity_of


@pytest.mark.parametrize(
    "text", ["책를 읽었다", "회사을 나왔다", "나무은 크다", "학교으로 갔다", "서울으로 갔다", "그게 됬다"]
)
def test_a_particle_that_does_not_agree_is_a_mistake(text):
    assert grammar_mistakes(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "책을 읽고 회사를 나와 서울로 갔다.",
        "가을 마을은 노을이 좋은 곳으로 알려져 있다.",
        "국가가 나이와 높이를 평가하는 결과와 효과를 알렸다.",
        "지은은 하은을 만났다.",
        "물로 씻고 다음으로 넘어가면 된다.",
    ],
)
def test_words_that_only_look_like_wrong_particles_pass(text):
    assert grammar_mistakes(text) == 0


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("신청서를 내고 심사를 받은 다음에는 담당자가 결과를 알려 드리며, 이의가 있으면", True),
        ("신청서를 내면 됩니다. 심사가 끝난 다음에는 담당자가 결과를 알려 드리고 이의 신청", True),
        ("```python\nprint('안녕하세요. 반갑습니다. 오늘도 좋은 하루 되세요.')", True),
        ("신청서를 내면 됩니다. 심사가 끝난 다음에는 담당자가 결과를 알려 드립니다", False),
        ("영업관리처", False),
        ("필요한 서류는 다음과 같습니다.\n- 신분증\n- 통장 사본\n- 사업자등록증", False),
    ],
)
def test_an_answer_that_breaks_off_is_told_from_one_that_is_short(text, cut):
    assert is_truncated(text) is cut


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("죄송하지만 해당 내용은 답변드리기 어렵습니다.", True),
        ("저는 인공지능 모델이기 때문에 의견을 낼 수 없습니다.", True),
        ("I'm sorry, but I can't help with that.", True),
        ("죄송합니다. 접수하신 민원은 3일 안에 답변드리겠습니다.", False),
        ("미납 통행료는 앱에서 납부할 수 없습니다. 영업소를 이용하세요.", False),
    ],
)
def test_a_refusal_is_told_from_an_apology(text, refuses):
    assert is_refusal(text) is refuses


@pytest.mark.parametrize(
    "text",
    [
        "1) 신분증을 준비하고 2) 신청서를 냅니다.",
        "a < b 이고 c > d 입니다.",
        "제12조(통행료의 면제) 「유료도로법」",
        "**중요**: `tuneway up`",
    ],
)
def test_ordinary_marks_are_no_defect(text):
    assert formatting_score(text) == 1


def test_syllables_in_random_order_are_not_fluent():
    fluent, scrambled = load_fluency_model().fluency(
        ["미납된 통행료는 영업소에서 납부할 수 있습니다.", "료소다는영행 습미할통니된에납수서 납업부있"]
    )

    assert fluent > 0.95
    assert scrambled < 0.5


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="가나다 .ㅋ", max_size=120))
def test_leaving_out_the_search_for_runs_changes_no_result(text):
    assert measure_repetition([text])[0].runs == share_of_runs(text)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="씨시쓰발벌개새끼병신지랄존나ㅅㅂ1. !놈아년들fuckSHIT", max_size=14))
def test_the_filter_before_the_foul_words_changes_no_result(text):
    assert foul_words(text) == sum(1 for _ in _FOUL.finditer(text))


def test_an_insult_in_a_long_answer_does_not_drown():
    calm = "미납된 통행료는 가까운 영업소에서 납부할 수 있으며, 자세한 내용은 누리집에서 확인하시기 바랍니다. "
    insult = "쓰레기 같은 것들 다 뒤져버려라 역겨운 년들아 "

    without, within = toxicity_of([calm * 12, calm * 6 + insult * 2 + calm * 6])
    assert without < 0.5
    assert within > 0.7


def test_the_weights_are_small_and_hold_numbers_only():
    model = load_toxicity_model()

    assert model.weights.shape == (SLOTS, len(COLUMNS))
    assert toxicity_of(["", " ", "!!!"]).tolist() == [0, 0, 0]


def test_hate_and_bias_are_shares_that_add_up_to_one():
    [hostility] = hostility_of(["여자들은 원래 운전을 못한다"])

    assert sum(hostility.hate.values()) == pytest.approx(1, abs=1e-3)
    assert sum(hostility.bias.values()) == pytest.approx(1, abs=1e-3)
    assert max(hostility.bias, key=lambda name: hostility.bias[name]) == "gender"
