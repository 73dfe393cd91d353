"""The committed raw files and test cases: what they hold, and that the generator makes exactly them."""

import csv
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest

from demo.conversations import OPENERS, SYSTEM_PROMPT
from demo.facts import CATEGORIES, DEMO_FOLDER, DOCUMENTS_FOLDER, Fact, load_documents, load_facts
from demo.forms import ask, load_forms
from demo.generate import generate, jaccard, shingles, text_of
from demo.known import load_known_facts, pretraining_forms

DATA, CASES = DEMO_FOLDER / "data", DEMO_FOLDER / "test_cases"
SUITES = ("regulations.jsonl", "unseen_forms.jsonl", "base_knowledge.jsonl")
JSONL_FILES = ("regulations.jsonl", "base_replay.jsonl")
NEAR_DUPLICATE_THRESHOLD = 0.9
Record = dict[str, Any]


@pytest.fixture(scope="module")
def manifest():
    return json.loads((DATA / "manifest.json").read_text(encoding="utf-8"))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _suite(name: str) -> list[Record]:
    return [json.loads(line) for line in _lines(CASES / name)]


def _records(name: str) -> dict[int, Record]:
    """Record number → conversation, of every record that is whole."""
    if name.endswith(".jsonl"):
        records = []
        for line in _lines(DATA / name):
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                records.append(None)
    elif name.endswith(".json"):
        records = json.loads((DATA / name).read_text(encoding="utf-8"))
    else:
        if name.endswith(".csv"):
            with (DATA / name).open(encoding="cp949", newline="") as file:
                table = list(csv.DictReader(file))
        else:
            table = parquet.read_table(DATA / name).to_pylist()
        records = [
            {
                "messages": [
                    {"role": "user", "content": row["question"]},
                    {"role": "assistant", "content": row["answer"]},
                ],
                "metadata": {"category": row["category"], "source": row["source"]},
            }
            for row in table
        ]
    return {number: record for number, record in enumerate(records, start=1) if record and _is_whole(record)}


def _is_whole(record: Record) -> bool:
    turns = record.get("messages")
    return (
        isinstance(turns, list)
        and [turn["role"] for turn in turns][-2:] == ["user", "assistant"]
        and all(isinstance(turn["content"], str) and turn["content"].strip() for turn in turns)
    )


def _flaw_of(manifest: Record, name: str) -> dict[int, str]:
    return {n: flaw for flaw, numbers in manifest["files"][name]["flawed_records"].items() for n in numbers}


def _normalised(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _question(record: Record) -> str:
    question: str = record["messages"][-2]["content"]
    return question


def _without_opener(question: str) -> str:
    return next((question.removeprefix(opener) for opener in OPENERS if question.startswith(opener)), question)


def _answer(record: Record) -> str:
    answer: str = record["messages"][-1]["content"]
    return answer


def test_the_generator_reproduces_the_committed_files(tmp_path):
    output = tmp_path / "made" / "on the way"
    generate(output)
    written = {str(path.relative_to(output)) for path in output.rglob("*.*")}
    committed = {str(path.relative_to(DEMO_FOLDER)) for folder in (DATA, CASES) for path in folder.rglob("*.*")}
    assert written == committed
    for name in written:
        if name.endswith(".parquet"):
            assert parquet.read_table(output / name).equals(parquet.read_table(DEMO_FOLDER / name))
        else:
            assert (output / name).read_bytes() == (DEMO_FOLDER / name).read_bytes(), name


def test_the_committed_files_stay_small():
    assert sum(path.stat().st_size for folder in (DATA, CASES) for path in folder.rglob("*.*")) < 3_000_000


def test_there_are_at_least_1200_clean_regulation_samples_in_the_customers_format(manifest):
    assert manifest["files"]["regulations.jsonl"]["clean"] >= 1200
    flaws = _flaw_of(manifest, "regulations.jsonl")
    sources = {document.source: document.category for document in load_documents()}
    for number, record in _records("regulations.jsonl").items():
        if number in flaws:
            continue
        assert set(record) == {"messages", "metadata"}
        assert set(record["metadata"]) == {"source", "category", "quality_score"}
        assert sources[record["metadata"]["source"]] == record["metadata"]["category"]
        assert 0.7 <= record["metadata"]["quality_score"] <= 1
        roles = [turn["role"] for turn in record["messages"]]
        assert roles in (["user", "assistant"], ["system", "user", "assistant"])
        assert roles[0] == "user" or record["messages"][0]["content"] == SYSTEM_PROMPT


def test_every_new_fact_is_asked_in_all_its_train_forms_and_answered_with_its_value(manifest):
    flaws = _flaw_of(manifest, "regulations.jsonl")
    clean = [r for n, r in _records("regulations.jsonl").items() if n not in flaws]
    records = {_without_opener(_question(record)): record for record in clean}
    for fact in load_facts():
        for form in load_forms()[fact.attribute].train:
            record = records[ask(form, fact.entity)]
            assert fact.value in _answer(record)
            assert fact.source == record["metadata"]["source"]


def _likeness(records: dict[int, Record]) -> tuple[list[int], Any]:
    """The record numbers, and how alike each two of the records are: exact Jaccard similarities, no hashing."""
    numbers = list(records)
    grams = [shingles(text_of(records[number]["messages"])) for number in numbers]
    index = {gram: i for i, gram in enumerate(sorted(set().union(*grams)))}
    matrix = np.zeros((len(grams), len(index)), dtype=np.float32)
    for row, found in enumerate(grams):
        matrix[row, [index[gram] for gram in found]] = 1
    shared = matrix @ matrix.T
    sizes = matrix.sum(axis=1)
    return numbers, shared / (sizes[:, None] + sizes[None, :] - shared)


def test_each_new_fact_keeps_at_least_four_samples_after_cleaning(manifest):
    records = {n: r for n, r in _records("regulations.jsonl").items() if len(_answer(r)) >= 5}
    numbers, likeness = _likeness(records)
    kept: list[int] = []
    for row in range(len(numbers)):
        if not kept or likeness[row, kept].max() < NEAR_DUPLICATE_THRESHOLD:
            kept.append(row)
    assert len(kept) >= 1200
    samples: Counter[Fact] = Counter()
    for row in kept:
        record = records[numbers[row]]
        for fact in load_facts():
            if fact.source == record["metadata"]["source"] and fact.value in _answer(record):
                samples[fact] += fact.entity in _question(record)
    assert min(samples[fact] for fact in load_facts()) >= 4


def test_honest_rows_are_never_nearly_the_same_and_planted_copies_always_are(manifest):
    flaws = _flaw_of(manifest, "regulations.jsonl")
    records = _records("regulations.jsonl")
    numbers, likeness = _likeness(records)
    np.fill_diagonal(likeness, 0)
    honest = [row for row, number in enumerate(numbers) if number not in flaws]
    assert likeness[np.ix_(honest, honest)].max() < NEAR_DUPLICATE_THRESHOLD - 0.05
    for kind, least in (("exact_duplicate", 1.0), ("near_duplicate", NEAR_DUPLICATE_THRESHOLD)):
        copies = [row for row, number in enumerate(numbers) if flaws.get(number) == kind]
        assert len(copies) == manifest["files"]["regulations.jsonl"]["flaws"][kind] > 0
        assert likeness[np.ix_(copies, honest)].max(axis=1).min() >= least


def test_the_manifest_counts_what_the_files_hold(manifest):
    for name, file in manifest["files"].items():
        records = _records(name)
        flaws = _flaw_of(manifest, name)
        broken = {number for number, flaw in flaws.items() if flaw.startswith("broken")}
        assert file["records"] == len(records) + len(broken)
        assert not broken & set(records)
        assert file["clean"] == file["records"] - len(flaws)
        assert file["flaws"] == Counter(flaws.values())
        assert sum(file["personal_data"].values()) == file["flaws"]["personal_data"]


@pytest.mark.parametrize(
    "name",
    ["regulations.jsonl", "base_replay.jsonl", "consultations.json", "consultations.csv", "consultations.parquet"],
)
def test_personal_data_stands_where_it_was_planted_and_nowhere_else(manifest, name):
    patterns = (
        r"01\d[ -]?\d{3,4}[ -]?\d{4}|02-\d{3}-\d{4}|\d{6}-\d{7}|\S+@\S+|\d{4}-\d{4}-\d{4}-\d{4}|\d{2,3}[가-힣] \d{4}"
    )
    flaws = _flaw_of(manifest, name)
    for number, record in _records(name).items():
        found = re.search(patterns, text_of(record["messages"]))
        if found:
            assert flaws.get(number) == "personal_data", record
    kinds = set(manifest["files"][name]["personal_data"])
    assert kinds == {"name", "mobile", "landline", "rrn", "email", "card", "plate"}


def test_personal_data_is_never_the_value_of_a_fact(manifest):
    flaws = _flaw_of(manifest, "regulations.jsonl")
    records = _records("regulations.jsonl")
    values = {(fact.source, fact.value) for fact in load_facts()}
    rows = [records[number] for number, flaw in flaws.items() if flaw == "personal_data"]
    assert len(rows) >= 50
    for record in rows:
        assert any(value in _answer(record) for source, value in values if source == record["metadata"]["source"])


def test_every_kind_of_flaw_is_there(manifest):
    assert set(manifest["files"]["regulations.jsonl"]["flaws"]) == {
        "broken_empty_answer", "broken_json", "broken_missing_answer", "broken_type", "exact_duplicate", "foul_language",
        "low_quality_score", "near_duplicate", "one_word_answer", "personal_data", "repeated_phrase",
    }  # fmt: skip


def test_known_rows_say_what_the_base_model_learnt(manifest):
    values = defaultdict(set)
    for fact in load_known_facts():
        values[fact.entity].add(fact.value)
    for name in manifest["files"]:
        if name == "regulations.jsonl":
            continue
        flaws = _flaw_of(manifest, name)
        for number, record in _records(name).items():
            if number not in flaws:
                entity = max((e for e in values if e in _question(record)), key=len)
                assert any(value in _answer(record) for value in values[entity]), record


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_has_200_cases_evenly_over_the_categories_and_attributes(name):
    cases = _suite(name)
    assert len({case["id"] for case in cases}) == len({case["question"] for case in cases}) == len(cases) == 200
    assert set(Counter(case["category"] for case in cases).values()) <= {33, 34}
    assert set(Counter(case["category"] for case in cases)) == set(CATEGORIES)
    assert min(Counter(case["attribute"] for case in cases).values()) >= 36


@pytest.mark.parametrize(
    ("name", "facts"), [(SUITES[0], load_facts), (SUITES[1], load_facts), (SUITES[2], load_known_facts)]
)
def test_the_first_accepted_answer_of_a_case_is_the_value_of_its_fact(name, facts):
    for case in _suite(name):
        entity = max((fact.entity for fact in facts() if fact.entity in case["question"]), key=len)
        (value,) = {f.value for f in facts() if f.entity == entity and f.attribute == case["attribute"]}
        assert case["accepted_answers"][0] == value


def _training_texts() -> list[str]:
    """Everything that is or may be trained on: every raw file as text, and every document."""
    texts = [path.read_text(encoding="cp949" if path.suffix == ".csv" else "utf-8") for path in DATA.glob("*.[jc]*")]
    texts += [text_of(record["messages"]) for record in _records("consultations.parquet").values()]
    texts += [path.read_text(encoding="utf-8") for path in DOCUMENTS_FOLDER.rglob("*.*")]
    assert len(texts) > 5 + len(load_documents())
    return texts


@pytest.mark.parametrize("name", SUITES)
def test_no_test_question_occurs_in_any_training_text(name):
    texts = _training_texts()
    everything = "\n".join([*texts, *map(_normalised, texts)])
    leaked = [
        case["question"]
        for case in _suite(name)
        if case["question"] in everything or _normalised(case["question"]) in everything
    ]
    assert leaked == []


def test_no_test_question_is_asked_in_pretraining():
    asked = {
        _normalised(ask(form, fact.entity))
        for index, fact in enumerate(load_known_facts())
        for form in pretraining_forms(index, fact)
    }
    leaked = [case["question"] for name in SUITES for case in _suite(name) if _normalised(case["question"]) in asked]
    assert leaked == []


def test_no_test_question_is_nearly_a_training_question():
    trained = [shingles(_question(record)) for name in JSONL_FILES for record in _records(name).values()]
    for case in _suite("regulations.jsonl"):
        grams = shingles(case["question"])
        assert max(jaccard(grams, other) for other in trained) < NEAR_DUPLICATE_THRESHOLD, case["question"]
