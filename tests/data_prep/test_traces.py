"""No pattern matches a text without its trace: what is skipped would have found nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.code_points import code_points
from data_prep.masking.engine import engine
from data_prep.masking.prefilter import read_closely
from data_prep.masking.shadow import shadow_of
from data_prep.quality import completeness, foul_language, grammar, score
from data_prep.quality.formatting import formatting_score
from data_prep.traces import Trace, Traces


def test_a_pair_is_seen_across_two_fillers_and_not_across_three():
    (found,) = Traces([Trace("x", ["가나"])], fillers=". ").found(
        code_points(["가나", "가. 나", "가. .나", "가다나", "나가", "", "yx"])
    )

    assert found.tolist() == [True, True, False, False, False, False, True]


def test_each_pattern_has_traces_of_its_own():
    first, second = Traces([Trace(pairs=["가나"]), Trace("가", beyond=True)]).found(code_points(["가나", "가", "😀"]))

    assert (first.tolist(), second.tolist()) == ([True, False, False], [True, True, True])


PATTERNS = {
    "misspelt": (grammar._MISSPELT.pattern, 0),
    "refusal": (completeness._REFUSAL.pattern, re.IGNORECASE),
    **{f"foul {number}": (word, re.IGNORECASE) for number, word in enumerate(foul_language._WORDS)},
}


@pytest.mark.parametrize("name", PATTERNS)
@given(data=st.data())
def test_what_a_pattern_matches_shows_its_trace(name, data):
    pattern, flags = PATTERNS[name]
    text = data.draw(st.from_regex(re.compile(pattern, flags)))

    if name.startswith("foul"):
        assert foul_language.texts_that_may_be_foul(code_points([text])) == [True] or not foul_language.foul_words(text)
    else:
        misspelt, refusal, _ = score._traces().found(code_points([text]))
        assert (misspelt if name == "misspelt" else refusal)[0]


GATES = [gate for recogniser in engine(representative_numbers=True).recognisers for gate in recogniser.gates]


@pytest.mark.parametrize("gate", range(len(GATES)))
@given(data=st.data())
def test_what_a_gate_lets_through_shows_an_identifiers_trace(gate, data):
    text = data.draw(st.from_regex(re.compile(GATES[gate], re.ASCII)))

    unusual, identifier = read_closely([text])
    assert unusual[0] or identifier[0]


@given(st.text("가a1-. \0\u3000１ー[]\u0301\u200b😀") | st.text())
def test_a_text_without_unusual_signs_is_its_own_shadow(text):
    if not read_closely([text])[0][0]:
        assert shadow_of(text).text == text


@given(st.text("책를을와은으로가나 .!a"))
def test_a_text_is_cleared_of_wrong_particles_only_where_there_are_none(text):
    read = code_points([text])
    if not grammar.particles_may_disagree(read)[0] and not score._traces().found(read)[0][0]:
        assert grammar.grammar_mistakes(text) == 0


@given(st.text("가.!a\n()<[&#:`* ", max_size=30) | st.text())
def test_a_text_without_signs_of_markup_has_no_defect(text):
    if not score._traces().found(code_points([text]))[2][0]:
        assert formatting_score(text) == 1
