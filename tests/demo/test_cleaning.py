"""What the platform's cleaning finds in the demo's raw files, compared with what was planted there."""

import json
from collections import Counter
from dataclasses import dataclass

import pytest

from contracts.data_policy import DataPolicy
from contracts.datasets import ImportRequest, PrepareRequest
from contracts.enums import Split
from data_prep.imports.importing import import_files
from data_prep.preparation.preparing import Preparation, prepare_version
from data_prep.versions.manifest import request_key
from data_prep.versions.reading import read_version_rows
from data_prep.versions.writing import VersionRow
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of the rows."""

    rows: list[VersionRow]
    removed: list[dict[str, str]]
    masked: list[dict[str, str]]


@pytest.fixture(scope="module")
def prepared(imported, tmp_path_factory):
    request = PrepareRequest(import_id=imported.import_id, dataset_name="demo", split_unit="question")
    policy = DataPolicy()
    preparation = Preparation(
        imported=imported, request=request, policy=policy, request_key=request_key(request, imported, {}, policy)
    )
    folder, _ = prepare_version(preparation, tmp_path_factory.mktemp("versions") / "demo")

    def lines(name: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]

    rows = [row for split in Split for row in read_version_rows(folder, split)]
    return Prepared(rows, lines("removed.jsonl"), lines("masked.jsonl"))


def number_of(row_id: str) -> int:
    """The row's line."""
    return int(row_id.rsplit(":", 1)[1])


def test_every_broken_record_is_left_out_at_import_and_no_other(imported, planted):
    broken = sum(count for flaw, count in planted["flaws"].items() if flaw.startswith("broken"))
    assert imported.broken_rows == broken > 0
    assert imported.total_rows == planted["records"] - broken


@pytest.mark.parametrize(("reason", "flaw"), FLAW_OF_REASON.items())
def test_a_rule_takes_out_the_records_planted_for_it_and_no_other(prepared, planted, reason, flaw):
    removed = {number_of(line["row"]) for line in prepared.removed if line["reason"] == reason}
    assert removed == set(planted["flawed_records"][flaw])


def test_as_many_copies_are_taken_out_as_were_planted(prepared, planted):
    removed = Counter(line["reason"] for line in prepared.removed)
    copies = planted["flaws"]["exact_duplicate"] + planted["flaws"]["near_duplicate"]
    assert removed["exact_duplicate"] + removed["near_duplicate"] == copies
    assert removed["near_duplicate"] >= 10


def test_personal_data_is_masked_in_the_records_where_it_was_planted_and_in_no_other(prepared, planted):
    numbers = {number_of(item["row"]) for item in prepared.masked}
    kept = {number_of(prepared_row.row.row_id) for prepared_row in prepared.rows}
    assert numbers == set(planted["flawed_records"]["personal_data"]) & kept
    # Mobile and landline numbers are one kind to the masker.
    assert len({item["kind"] for item in prepared.masked}) == len(PERSONAL_DATA) - 1


def test_each_new_fact_keeps_at_least_four_samples(prepared):
    samples = Counter(
        fact
        for fact in load_facts()
        for row in prepared.rows
        if row.row.source == fact.source and fact.value in row.row.answer
    )
    assert len(prepared.rows) >= 1200
    assert min(samples[fact] for fact in load_facts()) >= 4
