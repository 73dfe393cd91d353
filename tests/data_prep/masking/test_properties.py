"""What holds of masking whatever the text."""

import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.personal_data_samples import MAKERS, positives
from contracts.enums import PersonalDataKind
from data_prep.masking.engine import engine
from data_prep.masking.masker import find_personal_data, mask
from data_prep.masking.shadow import shadow, shadow_of

pytestmark = pytest.mark.slow

VALUES = [sample.text for kind in MAKERS for sample in positives(kind, 40, seed=7, held_out=False)]
PIECES = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(["[이름]", "[전화번호-ABCD2345]", "👨‍👩‍👧", "é", "각", "가", "\u200b", "010-", "1234", "-", " ", "입니다. ", "계좌 ", "여권 ", "12가", "@", "[", "서울 강남구 "]),
    st.text(max_size=12),
    st.text("0123456789-. 가나다로호[]@*", max_size=20),
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=6).map("".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_masking_what_is_masked_changes_nothing(text):
    (once,) = mask([text])

    (twice,) = mask([once.text])

    assert twice.text == once.text
    assert twice.found == ()


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_spans_never_overlap_and_replacing_them_gives_the_masked_text(text):
    (masked,) = mask([text])

    end, rebuilt = 0, ""
    for datum in masked.found:
        assert end <= datum.start < datum.end <= len(text)
        rebuilt += text[end : datum.start] + datum.kind.token
        end = datum.end
    assert rebuilt + text[end:] == masked.text


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_the_prefilter_lets_through_whatever_a_recogniser_finds(text):
    present, shaded = engine(), shadow(text)

    through = {(found.kind, found.start, found.end) for found in present.finds(shaded)}

    every = {(one.kind, one.start, one.end) for recogniser in present.recognisers for one in recogniser.finds(shaded)}
    assert through == every


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_a_shadow_leads_back_to_the_text(text):
    shaded = shadow_of(text)

    for place in range(len(shaded.text)):
        start, end = shaded.span(place, place + 1)
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize("kind", list(MAKERS), ids=lambda kind: kind.name)
@pytest.mark.parametrize("surroundings", ["👍🏽 {} 👨‍👩‍👧‍👦", "각각 {} é", "\u200b{}\ufeff"])
def test_offsets_are_right_beside_emoji_and_in_decomposed_hangul(kind, surroundings):
    samples = [
        sample
        for sample in positives(kind, 30, seed=3, held_out=False)
        if [(one.start, one.end) for one in find_personal_data([sample.text])[0] if one.kind is kind]
        == [(sample.start, sample.end)]
    ]
    assert len(samples) > 20

    for sample in samples:
        parts = (sample.text[: sample.start], sample.text[sample.start : sample.end], sample.text[sample.end :])
        front, value, back = (unicodedata.normalize("NFD", part) for part in parts)
        before, behind = surroundings.split("{}")
        text = before + front + value + back + behind
        start = len(before + front)
        found = [one for one in find_personal_data([text])[0] if one.kind is kind]
        assert [(one.start, one.end) for one in found] == [(start, start + len(value))], text


@pytest.mark.parametrize("kind", list(PersonalDataKind), ids=lambda kind: kind.name)
def test_tokens_and_pseudonyms_are_not_read(kind):
    text = f"담당자 {kind.token} 계좌 [{kind.value}-ABCD2345]로 123-4567"

    assert mask([text])[0].text == text


def test_presidios_own_engine_finds_the_same():
    rng = random.Random(5)
    texts = [shadow(text) for text in rng.sample(VALUES, 60)]
    present = engine()

    for text in texts:
        theirs = present.analyzer.analyze(text, language="ko", score_threshold=0.4)
        best = {(one.entity_type, one.start, one.end) for one in theirs}
        ours = {(one.kind.name, one.start, one.end) for one in present.finds(text)}
        # Presidio leaves out what lies inside a surer find of the same kind
        assert best <= ours
        assert {kind for kind, _, _ in best} == {kind for kind, _, _ in ours}
