"""Scoring on the demo's own sentences: the right value in any wording counts, every other value does not."""

from demo.facts import load_documents
from demo.forms import answer, load_forms
from evaluation.answer_scoring import is_correct
from evaluation.test_cases import read_suite
from settings.model import REPOSITORY_ROOT

SUITES = [read_suite(path) for path in sorted((REPOSITORY_ROOT / "demo" / "test_cases").glob("*.jsonl"))]


def _values() -> dict[str, set[str]]:
    values: dict[str, set[str]] = {attribute: set() for attribute in load_forms()}
    for document in load_documents():
        for attribute, value in document.facts.items():
            values[attribute].add(value)
    return values


def _distinct_answers() -> dict[str, tuple[str, list[str]]]:
    """First accepted answer → attribute and all accepted answers."""
    return {
        case.accepted_answers[0]: (case.attribute, case.accepted_answers)
        for suite in SUITES
        for case in suite.cases
        if case.attribute is not None
    }


def test_the_right_value_counts_in_every_wording():
    checked = 0
    for value, (attribute, accepted) in _distinct_answers().items():
        for form in load_forms()[attribute].answers:
            assert is_correct(answer(form, value), accepted), (value, form)
            checked += 1
    assert checked > 200


def test_every_other_value_is_wrong_in_every_wording():
    values, checked = _values(), 0
    for attribute, accepted in _distinct_answers().values():
        for other in values[attribute] - set(accepted):
            for form in load_forms()[attribute].answers:
                assert not is_correct(answer(form, other), accepted), (accepted, other, form)
                checked += 1
    assert checked > 5000
