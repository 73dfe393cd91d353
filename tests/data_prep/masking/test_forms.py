"""Every way to write an identifier that we know of, and everything that only looks like one."""

from pathlib import Path

import pytest

from benchmarks.personal_data import find_with_patterns, letters_found
from benchmarks.personal_data_letters import look_alikes
from benchmarks.personal_data_samples import MAKERS, negatives, positives
from contracts.enums import PersonalDataKind
from data_prep.masking.masker import Masker

MASKER = Masker()
CASES = Path(__file__).parent
FORMS = [
    tuple(line.replace("\\n", "\n").replace("\\t", "\t").replace("\\u200b", "\u200b").split("|", 1))
    for line in (CASES / "forms.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LOOK_ALIKES = [
    line for line in (CASES / "look_alikes.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]
SURE = {"RESIDENT_NUMBER", "FOREIGNER_NUMBER", "PHONE_NUMBER", "CARD_NUMBER", "EMAIL"}


@pytest.mark.parametrize(("kind", "text"), FORMS)
def test_a_form_is_known(kind, text):
    found = {datum.kind.name for datum in MASKER.find([text])[0]} - {"NAME"}

    assert found == {kind}


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_a_look_alike_stays(text):
    assert [datum for datum in MASKER.find([text])[0] if datum.kind is not PersonalDataKind.NAME] == []


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [False, True], ids=["tuned", "held out"])
@pytest.mark.parametrize("kind", list(MAKERS), ids=lambda kind: kind.name)
def test_recall_reaches_its_bar(kind, held_out):
    samples = list(positives(kind, 400, seed=11, held_out=held_out))

    hits = sum(
        any(one.kind is kind and one.start < sample.end and sample.start < one.end for one in found[0])
        for sample, found in zip(samples, MASKER.find_rows([[sample.text] for sample in samples]), strict=True)
    )

    assert hits / len(samples) >= (0.995 if kind.name in SURE else 0.9)


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [False, True], ids=["tuned", "held out"])
def test_hardly_any_look_alike_is_masked(held_out):
    samples = list(negatives(4000, seed=11, held_out=held_out))

    wrong = [
        (sample.text, found)
        for sample, (found,) in zip(samples, MASKER.find_rows([[sample.text] for sample in samples]), strict=True)
        if any(one.kind is not PersonalDataKind.NAME for one in found)
    ]

    assert len(wrong) <= 0.005 * len(samples), wrong[:10]


@pytest.mark.slow
@pytest.mark.parametrize("later", [False, True], ids=["letters", "later letters"])
def test_recall_in_letters_reaches_its_bars(later):
    measured = letters_found(find_with_patterns, 60, seed=99, later=later)

    below = {
        kind.name: measured[kind.code]
        for kind in MAKERS
        if measured[kind.code]["recall"] < (0.995 if kind.name in SURE else 0.9)
        or measured[kind.code]["precision"] < 0.99
    }
    assert below == {}


@pytest.mark.slow
@pytest.mark.parametrize("later", [False, True], ids=["letters", "later letters"])
def test_hardly_any_letter_without_personal_data_is_masked(later):
    quiet = list(look_alikes(50, seed=3, later=later))

    wrong = [letter.text for letter in quiet if find_with_patterns(letter.text)]

    assert len(wrong) <= 0.005 * len(quiet), wrong[:10]
