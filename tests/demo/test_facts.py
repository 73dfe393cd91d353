import re
from collections import Counter
from dataclasses import replace

from demo.facts import CATEGORIES, DOCUMENTS_FOLDER, VALUE_PATTERNS, find_problems, load_documents, load_facts
from demo.known import kept_back_form, load_known_facts, pretraining_forms


def _without_spaces(text: str) -> str:
    return text.replace(" ", "")


def test_the_documents_facts_are_complete_unique_and_well_formed():
    assert find_problems(load_documents()) == []
    assert Counter(fact.category for fact in load_facts()) == dict.fromkeys(CATEGORIES, 35)


def test_every_document_of_the_facts_is_written_and_says_every_value():
    for document in load_documents():
        text = (DOCUMENTS_FOLDER / document.source).read_text(encoding="utf-8")
        for attribute, value in document.facts.items():
            assert _without_spaces(value) in _without_spaces(text), (document.source, attribute, value)


def test_no_document_is_without_facts():
    written = {str(path.relative_to(DOCUMENTS_FOLDER)) for path in DOCUMENTS_FOLDER.rglob("*.*")}
    assert written == {document.source for document in load_documents()}


def test_a_doubled_entity_a_doubled_extension_and_a_malformed_value_are_named():
    first, second, *rest = load_documents()
    doubled = replace(
        second, entity=first.entity.replace(" ", ""), facts={**second.facts, "extension": "12", "form": "14호"}
    )
    problems = " / ".join(find_problems((first, doubled, *rest)))
    assert f"entity (spaces left out) '{first.entity.replace(' ', '')}' occurs 2 times" in problems
    assert "extension is '12'" in problems
    assert "form is '14호'" in problems
    same_extension = replace(second, facts={**second.facts, "extension": first.facts["extension"]})
    assert f"extension '{first.facts['extension']}' occurs 2 times" in " / ".join(
        find_problems((first, same_extension, *rest))
    )


def test_the_base_model_knows_at_least_500_facts_of_other_entities():
    known = {_without_spaces(fact.entity) for fact in load_known_facts()}
    new = {_without_spaces(fact.entity) for fact in load_facts()}
    assert len(load_known_facts()) >= 500
    assert len(known) * len(VALUE_PATTERNS) == len(load_known_facts())
    assert not known & new
    assert not {(a, b) for a in known for b in new if a in b or b in a}


def test_known_values_look_like_new_ones():
    for fact in load_known_facts():
        assert re.fullmatch(VALUE_PATTERNS[fact.attribute], fact.value), fact


def test_pretraining_never_asks_a_known_fact_in_the_form_kept_back_for_its_test():
    for index, fact in enumerate(load_known_facts()):
        assert kept_back_form(index, fact) not in pretraining_forms(index, fact)
