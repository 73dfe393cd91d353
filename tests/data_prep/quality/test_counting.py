"""What is counted for a batch in machine code is what plain definitions give for each text."""

from itertools import pairwise

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.code_points import code_points, visible_characters
from data_prep.quality import fluency, language, toxicity
from data_prep.quality.repetition import share_of_runs
from data_prep.quality.wording import read_wording

BATCHES = st.lists(st.text("가나다 \n", max_size=60) | st.text(max_size=30).map(lambda text: text.replace("\0", "")))
SENTENCES = [
    "통행료는 영업소에서 냅니다. 통행료는 영업소에서 냅니다.",
    "",
    " ",
    "가",
    "이런 씨1발 ㅋㅋㅋㅋ 가각ㅏ A😀",
    "ab" * 40,
]


def _repeated(words: list[str]) -> int:
    phrases = list(zip(words, words[1:], words[2:], strict=False))
    places = {
        place + offset for place, phrase in enumerate(phrases) if phrase in phrases[:place] for offset in range(3)
    }
    return sum(len(words[place]) for place in places)


@given(BATCHES)
def test_wording_is_counted_as_python_counts_it(texts):
    questions = texts[::-1]

    read = read_wording(texts, questions)

    squeezed = ["".join(text.split()) for text in texts]
    pairs = [set(pairwise(text)) for text in squeezed]
    asked = [{pair for word in question.split() for pair in pairwise(word)} for question in questions]
    assert read.characters == [len(text) for text in squeezed] == visible_characters(code_points(texts)).tolist()
    assert read.words == [len(text.split()) for text in texts]
    assert read.distinct_pairs == list(map(len, pairs))
    assert read.asked_pairs == list(map(len, asked))
    assert read.shared_pairs == [len(one & other) for one, other in zip(asked, pairs, strict=True)]
    assert read.repeated_characters == [_repeated(text.split()) for text in texts]


@given(st.lists(st.text("가나", max_size=40)), st.text("가나다라", min_size=1, max_size=20), st.integers(2, 6))
def test_no_run_is_overlooked(texts, unit, times):
    texts = [*texts, *(text + unit * times + text for text in texts)]

    for text, may_run in zip(texts, read_wording(texts).may_hold_runs, strict=True):
        assert may_run or share_of_runs(text) == 0


def test_runs_are_looked_for_in_few_texts_of_prose():
    prose = ["신청서를 내고 심사를 받은 다음에는 담당자가 결과를 알려 드리며, 이의가 있으면 다시 신청할 수 있습니다."]

    assert read_wording(prose).may_hold_runs == [False]


@given(BATCHES)
def test_scripts_are_counted_character_by_character(texts):
    counts = language.scripts_of(texts).counts

    for text, found in zip(texts, counts, strict=True):
        kinds = [language._kind(character) for character in text]
        assert found.tolist() == [kinds.count(script) for script in language.Script]


def _surprise(text: str) -> int:
    model = fluency.load_fluency_model()
    signs = fluency.alphabet(code_points([f"  {text}"]).codes)
    total = 0
    for place in range(2, len(signs) - 1):
        first, second, third = (signs[at : at + 1] for at in (place - 2, place - 1, place))
        if not 0xAC00 <= third[0] <= 0xD7A3:
            continue
        seen = int(model.trigrams[fluency.trigram_slots(first, second, third)][0])
        if not seen:
            pair = int(model.bigrams[fluency.bigram_slots(second, third)][0])
            seen = pair or int(model.unigram_backoffs[second[0]]) + int(model.unigrams[third[0]])
            seen += max(int(model.bigram_backoffs[fluency.bigram_slots(first, second)][0]) - 1, 0)
        total += seen - 1
    return total


@given(st.lists(st.text("통행료는 영업소에서 1a.😀", max_size=20), min_size=1, max_size=4))
@settings(max_examples=30)
def test_surprise_adds_up_syllable_by_syllable(texts):
    surprises, syllables = fluency.load_fluency_model().surprises(texts)

    expected = [
        _surprise(text) * fluency.STEP / max(int(count), 1) for text, count in zip(texts, syllables, strict=True)
    ]
    assert surprises.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("whole", [False, True])
def test_toxicity_adds_up_the_n_grams_that_training_counts(whole):
    model = toxicity.load_toxicity_model()
    texts = [*SENTENCES, "하하하하하 " * 30 + "바보 멍청이" * 5]
    columns = slice(0, 3)

    found = model.whole_logits(texts, columns) if whole else model.logits(texts, columns)

    for text, logits in zip(texts, found, strict=True):
        assert logits.tolist() == pytest.approx(_logits(model, text, columns, whole), rel=1e-4, abs=1e-4)


def _logits(model: toxicity.ToxicityModel, text: str, columns: slice, whole: bool) -> list[float]:
    """By the features that the model is trained on, cell by cell and window by window."""
    read = toxicity.read_text_features([text])
    cells = numpy.zeros((read.cells, 1 + columns.stop - columns.start))
    for slots, is_gram, starts in read.grams():
        owners = numpy.searchsorted(starts, numpy.arange(len(slots)), side="right") - 1
        added = numpy.column_stack([model.squares[slots], model.weights[slots, columns]]).astype(float)
        numpy.add.at(cells, owners[is_gram], added[is_gram])
    width = read.cells if whole else toxicity.WINDOW_CELLS
    windows = [cells[start : start + width].sum(axis=0) for start in range(1 if whole else read.cells)]
    greatest: list[float] = numpy.max(
        [window[1:] / numpy.sqrt(window[0] + toxicity.NORM_FLOOR) + model.intercepts[columns] for window in windows],
        axis=0,
    ).tolist()
    return greatest
