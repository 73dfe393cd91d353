"""What the platform's cleaning finds in the demo's raw files, compared with what was planted there."""

import json
from collections import Counter

import pytest

from contracts.datasets import ImportRequest, PrepareRequest
from data_prep.imports.importing import import_files, read_imported_rows
from data_prep.preparing import prepare_rows
from demo.facts import DEMO_FOLDER, load_facts
from demo.flaws import PERSONAL_DATA

pytestmark = pytest.mark.slow

NAME = "regulations.jsonl"
FLAW_OF_REASON = {
    "too_short": "one_word_answer",
    "repetition": "repeated_phrase",
    "foul_language": "foul_language",
    "low_quality": "low_quality_score",
}


@pytest.fixture(scope="module")
def planted():
    manifest = json.loads((DEMO_FOLDER / "data" / "manifest.json").read_text(encoding="utf-8"))
    return manifest["files"][NAME]


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    request = ImportRequest(dataset_name="demo", input_files=[f"demo/data/{NAME}"])
    root = DEMO_FOLDER.parent
    imports = tmp_path_factory.mktemp("imports")
    return import_files(request, imports_dir=imports, relative_to=root, allowed_roots=[root], min_free_disk_gb=0)


@pytest.fixture(scope="module")
def prepared(imported):
    request = PrepareRequest(import_id="demo", dataset_name="demo")
    return prepare_rows(read_imported_rows(imported), request, {}, imported.total_rows)


def test_every_broken_record_is_left_out_at_import_and_no_other(imported, planted):
    broken = sum(count for flaw, count in planted["flaws"].items() if flaw.startswith("broken"))
    assert imported.broken_rows == broken > 0
    assert imported.total_rows == planted["records"] - broken


@pytest.mark.parametrize(("reason", "flaw"), FLAW_OF_REASON.items())
def test_a_rule_takes_out_the_records_planted_for_it_and_no_other(prepared, planted, reason, flaw):
    removed = {int(row.row_id.rsplit(":", 1)[1]) for row in prepared.removed if row.removal.reason == reason}
    assert removed == set(planted["flawed_records"][flaw])


def test_as_many_copies_are_taken_out_as_were_planted(prepared, planted):
    removed = Counter(row.removal.reason.value for row in prepared.removed)
    copies = planted["flaws"]["exact_duplicate"] + planted["flaws"]["near_duplicate"]
    assert removed["exact_duplicate"] + removed["near_duplicate"] == copies
    assert removed["near_duplicate"] >= 10


def test_personal_data_is_masked_in_the_records_where_it_was_planted_and_in_no_other(prepared, planted):
    numbers = {int(item.row_id.rsplit(":", 1)[1]) for item in prepared.masked}
    kept = {int(row.row.row_id.rsplit(":", 1)[1]) for row in prepared.rows}
    assert numbers == set(planted["flawed_records"]["personal_data"]) & kept
    # Mobile and landline numbers are one kind to the masker.
    assert len({item.kind for item in prepared.masked}) == len(PERSONAL_DATA) - 1


def test_each_new_fact_keeps_at_least_four_samples(prepared):
    samples = Counter(
        fact
        for fact in load_facts()
        for row in prepared.rows
        if row.row.source == fact.source and fact.value in row.row.answer
    )
    assert len(prepared.rows) >= 1200
    assert min(samples[fact] for fact in load_facts()) >= 4
