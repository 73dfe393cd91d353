"""The order in which the versions of a dataset are listed."""

from contracts.dataset_versions import LoggedCommit
from stages.dataset_versions import newest_first


def commit(name, second, *parents):
    return LoggedCommit(
        commit=name, parents=list(parents), created_at=f"2026-11-28T09:00:{second:02}+00:00", operation="prepare",
        message="", rows=1, samples={}, removed=0, masked=0, quality_score=1, branches=[], tags=[], version=None,
        dataset_id=None,
    )  # fmt: skip


def names(*commits):
    return "".join(commit.commit for commit in newest_first(commits))


def test_branches_are_mixed_by_time():
    a, b, x, c = commit("a", 1), commit("b", 2, "a"), commit("x", 3, "a"), commit("c", 4, "b")
    assert names(a, b, x, c) == names(c, x, b, a) == "cxba"


def test_versions_of_the_same_second_are_listed_child_first():
    a, b, c = commit("a", 5), commit("b", 5, "a"), commit("c", 5, "b")
    assert names(a, b, c) == names(b, c, a) == "cba"


def test_a_clock_that_was_set_back_does_not_put_a_version_before_what_was_made_from_it():
    assert names(commit("a", 9), commit("b", 2, "a"), commit("m", 1, "b", "gone")) == "mba"
