import itertools
import string

import pytest

from demo.facts import VALUE_PATTERNS, load_documents
from demo.forms import answer, ask, load_forms

GROUPS = ("train", "held", "extra", "unseen")


def _normalised(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def test_every_attribute_has_its_groups_of_forms():
    assert list(load_forms()) == list(VALUE_PATTERNS)
    for attribute, forms in load_forms().items():
        assert len(forms.train) >= 6, attribute
        assert len(forms.held) >= 2, attribute
        assert len(forms.unseen) >= 2, attribute


def test_no_form_occurs_twice_in_any_group_or_attribute_even_without_spaces_and_punctuation():
    forms = [_normalised(form) for groups in load_forms().values() for name in GROUPS for form in getattr(groups, name)]
    assert len(set(forms)) == len(forms)


def test_no_form_contains_another_one():
    questions = [
        _normalised(ask(form, "물품"))
        for groups in load_forms().values()
        for name in GROUPS
        for form in getattr(groups, name)
    ]
    contained = [(a, b) for a, b in itertools.permutations(questions, 2) if a in b]
    assert contained == []


@pytest.mark.parametrize("attribute", list(VALUE_PATTERNS))
def test_a_question_names_the_entity_once_and_an_answer_names_the_value_once(attribute):
    forms = load_forms()[attribute]
    for name in GROUPS:
        for form in getattr(forms, name):
            fields = [field for _, field, _, _ in string.Formatter().parse(form) if field]
            assert fields == ["e"], form
            assert form.rstrip()[-1] in "?.", form
    for form in forms.answers:
        assert [field for _, field, _, _ in string.Formatter().parse(form) if field] == ["v"], form
        assert form.endswith(("니다.", "시오.")), form


def test_particles_fit_every_entity_of_the_documents():
    assert ask("{e:을} 맡고 있는 부서", "통행료 과오납 환불") == "통행료 과오납 환불을 맡고 있는 부서"
    for document in load_documents():
        for groups in load_forms().values():
            for name in GROUPS:
                for form in getattr(groups, name):
                    assert document.entity in ask(form, document.entity)


def test_an_answer_carries_no_other_number_than_its_value():
    for groups in load_forms().values():
        for form in groups.answers:
            assert not any(character.isdigit() for character in answer(form, "값"))
