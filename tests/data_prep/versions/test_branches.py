"""Branches, tags, differences and merges."""

import json

import pytest

from contracts.enums import Split
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from data_prep.statistics.measuring import Tokenizer
from data_prep.versions.difference import diff
from data_prep.versions.history import is_ancestor, merge_base, walk
from data_prep.versions.merging import merge
from data_prep.versions.reading import read_sides, read_version_rows
from data_prep.versions.references import (
    branches,
    commit_folder,
    create_branch,
    create_tag,
    delete_branch,
    delete_tag,
    head,
    load_commit,
    resolve,
    tags,
)
from data_prep.versions.verifying import verify
from tests.data_prep.versions.builders import commit, key_of, row, rows


@pytest.fixture
def name_dir(tmp_path):
    return tmp_path / "demo"


def answers(name_dir, commit_id):
    folder = commit_folder(name_dir, commit_id)
    return {
        found.row.question.removeprefix("질문 "): found.row.answer
        for split in Split
        for found in read_version_rows(folder, split)
    }


def test_a_version_is_named_by_branch_tag_or_the_start_of_its_commit(name_dir):
    first = commit(name_dir, rows(range(10)))
    create_tag(name_dir, "trial", first.commit)
    second = commit(name_dir, rows(range(20)))

    assert resolve(name_dir, "main") == second.commit
    assert resolve(name_dir, "trial") == first.commit
    assert resolve(name_dir, first.commit[:8]) == first.commit


def test_an_unknown_name_says_which_there_are(name_dir):
    commit(name_dir, rows(range(10)))

    with pytest.raises(NotFoundError, match="did you mean main"):
        resolve(name_dir, "maim")
    with pytest.raises(NotFoundError, match="did you mean demo"):
        resolve(name_dir.with_name("demmo"), "main")


def test_a_tag_stays_where_it_is_unless_it_is_moved_on_purpose(name_dir):
    first = commit(name_dir, rows(range(10)))
    second = commit(name_dir, rows(range(20)))
    create_tag(name_dir, "trial", first.commit)

    with pytest.raises(ConflictError, match="another commit"):
        create_tag(name_dir, "trial", second.commit)
    create_tag(name_dir, "trial", second.commit, move=True)

    assert tags(name_dir) == {"trial": second.commit}
    assert delete_tag(name_dir, "trial") == second.commit
    assert tags(name_dir) == {}


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "가", "a" * 64])
def test_a_name_that_could_leave_its_folder_is_refused(name_dir, name):
    made = commit(name_dir, rows(range(10)))

    with pytest.raises(InvalidRequestError):
        create_tag(name_dir, name, made.commit)
    with pytest.raises(InvalidRequestError):
        create_branch(name_dir, name, made.commit)


def test_the_main_branch_cannot_be_deleted_another_one_can(name_dir):
    made = commit(name_dir, rows(range(10)))
    create_branch(name_dir, "trial", made.commit)

    with pytest.raises(InvalidRequestError, match="main branch"):
        delete_branch(name_dir, "main")
    delete_branch(name_dir, "trial")

    assert set(branches(name_dir)) == {"main"}


def test_the_history_leads_back_to_the_first_commit(name_dir):
    made = [commit(name_dir, rows(range(10 * number))).commit for number in (1, 2, 3)]

    assert [manifest.commit for manifest in walk(name_dir, made[-1])] == made[::-1]
    assert is_ancestor(name_dir, made[0], made[2])
    assert not is_ancestor(name_dir, made[2], made[0])


def test_a_difference_names_added_removed_and_changed_rows_and_the_fields(name_dir):
    before = commit(name_dir, [row("same"), row("gone"), row("other", "예전 답", category="가")])
    after = commit(name_dir, [row("new"), row("same"), row("other", "새 답", Split.TEST, category="나")])

    found = diff(name_dir, before, after)

    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 1, 1, 1)
    assert [shown.question for shown in found.added_rows] == ["질문 new"]
    assert [shown.key for shown in found.removed_rows] == [key_of("gone")]
    assert {(change.field, change.before, change.after) for change in found.changed_rows[0].fields} == {
        ("split", "train", "test"),
        ("messages[1].content", "예전 답", "새 답"),
        ("metadata.category", "가", "나"),
    }


def test_rows_whose_scores_alone_differ_are_counted_apart(name_dir):
    before = commit(name_dir, [row("a")])
    better = row("a")
    after = commit(name_dir, [type(better)(better.row, 0.5, better.split, better.parts, better.toxicity)])

    found = diff(name_dir, before, after)

    assert (found.rescored, found.changed, found.unchanged) == (1, 0, 0)


def test_a_difference_of_large_versions_reads_the_parts_that_differ_only(name_dir, monkeypatch):
    given = [row(str(number)) for number in range(20_000)]
    before = commit(name_dir, given)
    after = commit(name_dir, [*given, row("one more")])
    for part in set(before.parts["train"]) & set(after.parts["train"]):
        (name_dir / "objects" / part.sha256[:2] / f"{part.sha256}.parquet").unlink()

    found = diff(name_dir, before, after, shown=0)

    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 0, 0, 20_000)
    assert found.added_rows == []


def test_independent_additions_are_merged(name_dir):
    base = commit(name_dir, [row("a"), row("b")])
    create_branch(name_dir, "trial", base.commit)
    commit(name_dir, [row("a"), row("b"), row("ours")])
    theirs = commit(name_dir, [row("a"), row("theirs"), row("b", "고친 답")], "trial")

    merged = merge(name_dir, "main", theirs.commit)

    assert (merged.added, merged.changed, merged.removed) == (1, 1, 0)
    assert answers(name_dir, merged.commit) == {
        "a": "답변입니다.", "b": "고친 답", "ours": "답변입니다.", "theirs": "답변입니다.",
    }  # fmt: skip
    made = load_commit(name_dir, merged.commit)
    assert made.parents[1] == theirs.commit
    assert made.recipe.operation == "merge"
    assert head(name_dir) == merged.commit
    assert verify(name_dir).damaged == []
    assert merge(name_dir, "main", theirs.commit).already_merged


def test_a_row_that_one_side_removed_is_removed(name_dir):
    base = commit(name_dir, [row("a"), row("b")])
    create_branch(name_dir, "trial", base.commit)
    commit(name_dir, [row("a"), row("b"), row("c")])
    theirs = commit(name_dir, [row("a")], "trial")

    merged = merge(name_dir, "main", theirs.commit)

    assert set(answers(name_dir, merged.commit)) == {"a", "c"}


@pytest.mark.parametrize(
    ("ours", "theirs", "what"),
    [
        ([row("a", "우리 답")], [row("a", "저쪽 답")], "changed differently"),
        ([row("a", "우리 답")], [row("b")], "removed and changed"),
        ([row("a"), row("x", "하나")], [row("a"), row("x", "둘")], "added differently"),
    ],
)
def test_rows_treated_differently_on_both_sides_are_a_conflict_that_names_them(name_dir, ours, theirs, what):
    base = commit(name_dir, [row("a"), row("b")])
    create_branch(name_dir, "trial", base.commit)
    our = commit(name_dir, [*ours, row("b")])
    their = commit(name_dir, [*theirs, row("c")], "trial")

    with pytest.raises(ConflictError, match="1 rows") as conflict:
        merge(name_dir, "main", their.commit)

    assert what in str(conflict.value.value)
    assert key_of("x" if "added" in what else "a") in str(conflict.value.value)
    assert head(name_dir) == our.commit


def test_the_same_change_on_both_sides_is_no_conflict(name_dir):
    base = commit(name_dir, [row("a")])
    create_branch(name_dir, "trial", base.commit)
    commit(name_dir, [row("a", "고친 답"), row("b")])
    theirs = commit(name_dir, [row("a", "고친 답"), row("c")], "trial")

    assert set(answers(name_dir, merge(name_dir, "main", theirs.commit).commit)) == {"a", "b", "c"}


def test_branches_without_a_common_past_are_joined(name_dir):
    commit(name_dir, [row("a")])
    theirs = commit(name_dir, [row("b")], "other-source")

    merged = merge(name_dir, "main", theirs.commit)

    assert theirs.parents == []
    assert set(answers(name_dir, merged.commit)) == {"a", "b"}


def test_a_branch_with_nothing_of_its_own_is_moved_without_a_new_commit(name_dir):
    base = commit(name_dir, [row("a")])
    create_branch(name_dir, "trial", base.commit)
    theirs = commit(name_dir, [row("a"), row("b")], "trial")

    merged = merge(name_dir, "main", theirs.commit)

    assert merged.fast_forward
    assert head(name_dir) == theirs.commit


def test_a_source_document_stays_on_the_side_where_this_branch_has_it(name_dir):
    base = commit(name_dir, [row("a")])
    create_branch(name_dir, "trial", base.commit)
    commit(name_dir, [row("a"), row("b", split=Split.TEST, source="규정.md")])
    theirs = commit(name_dir, [row("a"), row("c", split=Split.TRAIN, source="규정.md")], "trial")

    merged = merge(name_dir, "main", theirs.commit)

    sides = read_sides(commit_folder(name_dir, merged.commit))
    assert merged.moved == 1
    assert sides[key_of("b")] is sides[key_of("c")] is Split.TEST


def test_after_a_merge_the_common_past_of_both_branches_is_the_merged_commit(name_dir):
    base = commit(name_dir, [row("a")])
    create_branch(name_dir, "trial", base.commit)
    commit(name_dir, [row("a"), row("b")])
    theirs = commit(name_dir, [row("a"), row("c")], "trial")
    merged = merge(name_dir, "main", theirs.commit)
    more = commit(name_dir, [row("a"), row("c"), row("d")], "trial")

    assert merge_base(name_dir, merged.commit, more.commit) == theirs.commit
    assert set(answers(name_dir, merge(name_dir, "main", more.commit).commit)) == {"a", "b", "c", "d"}


def test_a_merged_version_counts_tokens_and_says_whom_it_speaks_of(name_dir):
    base = commit(name_dir, [row("a")])
    create_branch(name_dir, "trial", base.commit)
    commit(name_dir, [row("a"), row("b")])
    theirs = commit(name_dir, [row("a"), row("c", answer="여성 직원이 안내합니다.")], "trial")

    merged = merge(
        name_dir, "main", theirs.commit, tokenizer=Tokenizer("letters", lambda texts: [len(t) for t in texts])
    )

    told = json.loads((commit_folder(name_dir, merged.commit) / "statistics.json").read_text("utf-8"))
    assert told["sample"]["tokens"]["tokenizer"] == "letters"
    assert told["sample"]["tokens"]["answer"]["max"] == len("여성 직원이 안내합니다.")
    assert told["bias"]["rows_with_groups"] == 1
