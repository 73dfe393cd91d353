"""A version is whole or absent, the same rows give the same hash, and unchanged stretches are stored once."""

import json
import os

import pyarrow.parquet
import pytest

from contracts.enums import Split
from contracts.errors import ConflictError, InvalidDataError, InvalidRequestError, NotFoundError
from contracts.record import JsonObject
from data_prep.rows import Message, Row
from data_prep.versions.manifest import Recipe, load_manifest
from data_prep.versions.names import REMOVED_FILE
from data_prep.versions.objects import ObjectStore
from data_prep.versions.reading import read_in_source_order, read_sides, read_version_rows
from data_prep.versions.references import branches, commit_folder, head
from data_prep.versions.verifying import verify
from data_prep.versions.writing import VersionRow, VersionWriter, find_version
from storage.split_files import split_files
from tests.data_prep.versions.builders import REQUEST, commit, key_of, row, rows


def test_what_was_written_is_read_again_in_every_field(tmp_path):
    messages = (
        Message("system", "규정 안내"),
        Message("user", "보존 기간은?"),
        Message("assistant", "", {"tool_calls": [{"id": "1", "function": {"name": "찾기"}}]}),
        Message("tool", "5년", {"tool_call_id": "1"}),
        Message("assistant", "5년입니다 😀"),
    )
    metadata: JsonObject = {
        "category": "문서",
        "source": "규정.md",
        "lineage": {"start": 3, "end": 9},
        "accepted_answers": ["5년"],
    }
    given = VersionRow(Row("a.jsonl:7", messages, metadata, key_of("a")), 0.812345, Split.TEST, {"length": 0.5}, 0.25)

    manifest = commit(tmp_path / "demo", [given, row("b", line=8)])

    folder = commit_folder(tmp_path / "demo", manifest.commit)
    assert list(read_version_rows(folder, Split.TEST)) == [given]
    assert manifest.samples == {"train": 1, "validation": 0, "test": 1}
    assert manifest.categories == {"문서": 1, "통행료": 1}
    assert manifest.quality_score == 0.8562
    assert load_manifest(folder) == manifest


def test_a_small_version_has_a_plain_file_for_each_side_also_for_an_empty_one(tmp_path):
    manifest = commit(tmp_path / "demo", [row("a")])

    folder = commit_folder(tmp_path / "demo", manifest.commit)
    assert [(folder / f"{split.value}.parquet").is_file() for split in Split] == [True, True, True]
    assert pyarrow.parquet.read_table(folder / "test.parquet").num_rows == 0


def test_a_large_side_is_a_folder_of_parts_that_reads_as_one_table(tmp_path):
    manifest = commit(tmp_path / "demo", rows(range(12_000)))

    train = commit_folder(tmp_path / "demo", manifest.commit) / "train.parquet"
    assert train.is_dir()
    assert len(split_files(train)) == len(manifest.parts["train"]) > 1
    keys = pyarrow.parquet.read_table(train)["key"].to_pylist()
    assert keys == [key_of(str(number)) for number in range(12_000) if number % 10 < 8]


def test_the_batches_in_which_rows_come_do_not_show(tmp_path):
    given = rows(range(6_000))

    hashes = {commit(tmp_path / str(batch), given, batch=batch).commit for batch in (500, 777, 6_000)}

    assert len(hashes) == 1


def test_the_same_rows_and_recipe_again_are_the_same_commit(tmp_path):
    first = commit(tmp_path / "demo", rows(range(10)))
    again = commit(tmp_path / "demo", rows(range(10)))

    assert again == first
    assert len(list((tmp_path / "demo").glob("[0-9a-f]*"))) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": Recipe(operation="prepare", policy={"masking": {}})},
        {"recipe": Recipe(operation="prepare", code_revision="2")},
    ],
)
def test_another_recipe_is_another_commit_of_the_same_content(tmp_path, other):
    first, second = commit(tmp_path / "a", rows(range(10))), commit(tmp_path / "b", rows(range(10)), **other)

    assert first.content_hash == second.content_hash
    assert first.commit != second.commit


def test_a_commit_follows_the_one_before_it(tmp_path):
    first = commit(tmp_path / "demo", rows(range(10)))
    second = commit(tmp_path / "demo", rows(range(20)))

    assert first.parents == []
    assert second.parents == [first.commit]
    assert branches(tmp_path / "demo") == {"main": second.commit}


@pytest.mark.parametrize(
    ("change", "most_new"),
    [
        (lambda given: given + [row(f"more {number}", line=1) for number in range(100)], 1),
        (lambda given: [row("first"), *given], 2),
        (lambda given: given[:20_000] + given[20_001:], 2),
        (lambda given: [*given[:20_000], row("20000", "다른 답변입니다."), *given[20_001:]], 1),
    ],
    ids=["appended", "inserted at the top", "one removed", "one changed"],
)
def test_unchanged_stretches_are_stored_once(tmp_path, change, most_new):
    given = [row(str(number)) for number in range(25_000)]
    before = commit(tmp_path / "demo", given)

    after = commit(tmp_path / "demo", change(given))

    old = {part.sha256 for part in before.parts["train"]}
    new = {part.sha256 for part in after.parts["train"]}
    assert len(old) >= 4
    assert 1 <= len(new - old) <= most_new
    # and the parts without rows of the other two sides, which are one
    assert len(ObjectStore(tmp_path / "demo").digests()) == len(old | new) + 1


def test_a_row_that_moved_to_another_line_leaves_its_part_as_it_was(tmp_path):
    before = commit(tmp_path / "demo", [row("a", line=1), row("b", line=2)])
    after = commit(tmp_path / "demo", [row("a", line=11), row("b", line=12)])

    assert before.parts == after.parts
    folder = commit_folder(tmp_path / "demo", after.commit)
    assert [found.row.row_id for found in read_version_rows(folder, Split.TRAIN)] == ["rows.jsonl:11", "rows.jsonl:12"]


def test_a_part_takes_no_room_in_the_folders_of_the_versions(tmp_path):
    manifest = commit(tmp_path / "demo", rows(range(100)))

    part = ObjectStore(tmp_path / "demo").path(manifest.parts["train"][0].sha256)
    assert part.stat().st_ino == (commit_folder(tmp_path / "demo", manifest.commit) / "train.parquet").stat().st_ino


def test_a_part_whose_bytes_rotted_is_written_anew(tmp_path):
    first = commit(tmp_path / "demo", rows(range(100)))
    part = ObjectStore(tmp_path / "demo").path(first.parts["train"][0].sha256)
    part.chmod(0o644)
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert {damage.problem for damage in verify(tmp_path / "demo").damaged} == {"changed"}

    second = commit(tmp_path / "demo", rows(range(100)), message="again", parents=[first.commit])

    assert load_manifest(commit_folder(tmp_path / "demo", second.commit)).parts == first.parts
    assert [damage.file for damage in verify(tmp_path / "demo").damaged] == [f"{first.short}/train.parquet"]


def test_rows_come_back_in_source_order_with_their_sides(tmp_path):
    given = rows(range(12_345))
    manifest = commit(tmp_path / "demo", given)

    keys, sides, ids = [], [], []
    for table, of_table in read_in_source_order(commit_folder(tmp_path / "demo", manifest.commit)):
        keys += table["key"].to_pylist()
        ids += table["row"].to_pylist()
        sides += of_table
    assert keys == [one.row.key for one in given]
    assert ids == [one.row.row_id for one in given]
    assert sides == [one.split for one in given]
    assert read_sides(commit_folder(tmp_path / "demo", manifest.commit)) == dict(zip(keys, sides, strict=True))


def test_two_rows_with_one_key_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(InvalidDataError, match="same key") as refusal:
        commit(tmp_path / "demo", [row("a"), row("b"), row("a", line=3)])

    assert refusal.value.value == key_of("a")
    assert head(tmp_path / "demo") is None
    assert [path.name for path in (tmp_path / "demo").glob("*") if path.is_dir()] == ["objects"]


def test_leaving_the_block_without_a_commit_leaves_no_version(tmp_path):
    def write():
        with VersionWriter(tmp_path / "demo") as writer:
            writer.add(rows(range(10)))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write()

    assert list((tmp_path / "demo").glob("[0-9a-f]*")) == []
    assert list((tmp_path / "demo").glob(".*.tmp")) == []


def test_further_files_are_part_of_the_version_and_removed_rows_of_its_content(tmp_path):
    def write(name, line):
        with VersionWriter(tmp_path / name) as writer:
            writer.add([row("a")])
            writer.path(REMOVED_FILE).write_text(json.dumps(line) + "\n", encoding="utf-8")
            writer.path("report.html").write_text(name, encoding="utf-8")
            return writer.commit(recipe=Recipe(operation="prepare"), request=REQUEST, request_key="1")[1]

    first, second, third = write("a", {"row": "1"}), write("b", {"row": "1"}), write("c", {"row": "2"})

    assert set(first.files) == {
        "train.parquet", "validation.parquet", "test.parquet", "index.parquet", "removed.jsonl", "report.html",
    }  # fmt: skip
    assert first.content_hash == second.content_hash != third.content_hash


def test_a_branch_that_moved_meanwhile_is_a_conflict(tmp_path):
    first = commit(tmp_path / "demo", rows(range(10)))
    commit(tmp_path / "demo", rows(range(20)))

    with pytest.raises(ConflictError, match="has moved"):
        commit(tmp_path / "demo", rows(range(30)), parents=[first.commit])


def test_a_name_that_is_no_branch_name_is_refused(tmp_path):
    with pytest.raises(InvalidRequestError, match="branch"):
        VersionWriter(tmp_path / "demo", "../main")


def test_a_version_is_found_by_its_request(tmp_path):
    made = commit(tmp_path / "demo", rows(range(10)), request_key="abc")

    found = find_version(tmp_path / "demo", "abc")

    assert found is not None
    assert found[1] == made
    assert find_version(tmp_path / "demo", "other") is None


def test_a_commit_whose_branch_was_not_moved_before_a_kill_is_on_it_when_found_again(tmp_path):
    first = commit(tmp_path / "demo", rows(range(10)), request_key="1")
    second = commit(tmp_path / "demo", rows(range(20)), request_key="2")
    (tmp_path / "demo" / "references" / "branches" / "main").write_text(first.commit)

    find_version(tmp_path / "demo", "2")

    assert head(tmp_path / "demo") == second.commit


def test_an_older_version_that_is_found_again_does_not_move_the_branch_back(tmp_path):
    commit(tmp_path / "demo", rows(range(10)), request_key="1")
    second = commit(tmp_path / "demo", rows(range(20)), request_key="2")

    find_version(tmp_path / "demo", "1")

    assert head(tmp_path / "demo") == second.commit


def test_a_version_without_one_of_its_files_says_which(tmp_path):
    manifest = commit(tmp_path / "demo", rows(range(10)))
    folder = commit_folder(tmp_path / "demo", manifest.commit)
    (folder / "test.parquet").unlink()

    with pytest.raises(NotFoundError, match="missing") as missing:
        load_manifest(folder)
    assert "test.parquet" in str(missing.value.value)


def test_a_file_system_without_hard_links_gets_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", refuse)

    manifest = commit(tmp_path / "demo", rows(range(10)))

    assert verify(tmp_path / "demo").damaged == []
    assert manifest.total_samples == 10
