"""Policy files: the one that ships, an organisation's own, and what is said when one is wrong."""

import pytest

from contracts.data_policy import DataPolicy
from contracts.enums import MaskingAction, PersonalDataKind
from contracts.errors import InvalidRequestError
from data_prep.policies import load_policy, policy_names


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "ours.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return load_policy(name, relative_to=tmp_path, allowed_roots=[tmp_path])

    return write


def test_the_default_policy_says_what_the_records_say_by_themselves(tmp_path):
    assert "default" in policy_names()
    assert load_policy("default", relative_to=tmp_path) == DataPolicy()


def test_an_own_file_changes_what_it_names_and_nothing_else(write):
    policy = write("quality:\n  max_toxicity: 0.5\nmasking:\n  actions: {이름: pseudonymise}\n")

    assert policy.quality.max_toxicity == 0.5
    assert policy.quality.max_answer_characters == DataPolicy().quality.max_answer_characters
    assert policy.masking.actions == {PersonalDataKind.NAME: MaskingAction.PSEUDONYMISE}


def test_an_empty_file_is_the_default(write):
    assert write("# nothing yet\n") == DataPolicy()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("qualty: {}", ["unknown key", "qualty", "did you mean quality"]),
        ("quality:\n  max_toxicty: 0.5", ["quality.max_toxicty", "did you mean max_toxicity"]),
        ("quality:\n  max_toxicity: 7", ["quality.max_toxicity = 7"]),
        ("quality: {max_toxicity: 0.5, max_toxicity: 0.9}", ["max_toxicity stands twice"]),
        ("masking:\n  actions: {이름: keep}", ["keep_reasons must say why 이름 is kept"]),
        ("- a list", ["ours.yaml"]),
        ("quality: [", ["cannot be read"]),
        ("x: !!python/object/apply:os.system ['true']", ["cannot be read"]),
    ],
)
def test_a_wrong_file_is_refused_with_the_key_that_is_wrong(write, text, words):
    with pytest.raises(InvalidRequestError) as caught:
        write(text)
    assert all(word in caught.value.sentence() for word in words), caught.value.sentence()


@pytest.mark.parametrize(("name", "word"), [("defalt", "did you mean default"), ("missing.yaml", "no such file")])
def test_a_policy_that_does_not_exist_is_named(tmp_path, name, word):
    with pytest.raises(InvalidRequestError, match=word):
        load_policy(name, relative_to=tmp_path, allowed_roots=[tmp_path])


def test_a_policy_outside_the_allowed_folders_is_not_read(tmp_path):
    inside = tmp_path / "inputs"
    inside.mkdir()
    (tmp_path / "other.yaml").write_text("quality: {max_toxicity: 0.1}")

    with pytest.raises(InvalidRequestError, match="outside the folders"):
        load_policy("../other.yaml", relative_to=inside, allowed_roots=[inside])


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}")

    with pytest.raises(InvalidRequestError, match="A policy is a YAML file"):
        load_policy("rows.jsonl", relative_to=tmp_path, allowed_roots=[tmp_path])
