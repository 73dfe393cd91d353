"""What was paid for once survives."""

import pytest

from contracts.errors import ConflictError
from storage.journal import KeyedJournal

IN_USE = ConflictError("Another process judges")


def test_an_entry_is_found_again_and_the_newest_of_a_key_counts(tmp_path):
    path = tmp_path / "made" / "answers.jsonl"
    with KeyedJournal(path, IN_USE) as journal:
        journal.add("a", {"text": "하나 \ud800"}, sync=False)
        journal.add("b", {"text": "둘"}, sync=False)
        journal.add("a", {"text": "셋"})
    with KeyedJournal(path, IN_USE) as journal:
        assert list(journal) == ["a", "b"]
        assert journal.get("a") == {"text": "셋"}
        assert journal.get("c") is None


def test_what_a_kill_cut_in_half_is_dropped_and_its_place_written_anew(tmp_path):
    path = tmp_path / "answers.jsonl"
    with KeyedJournal(path, IN_USE) as journal:
        journal.add("a", {"text": "하나"})
        journal.add("b", {"text": "둘"})
    path.write_bytes(path.read_bytes()[:-5])
    with KeyedJournal(path, IN_USE) as journal:
        assert "b" not in journal
        journal.add("b", {"text": "다시"})
    with KeyedJournal(path, IN_USE) as journal:
        assert journal.get("b") == {"text": "다시"}


def test_one_process_holds_a_file_at_a_time(tmp_path):
    path = tmp_path / "answers.jsonl"
    with KeyedJournal(path, IN_USE), pytest.raises(ConflictError, match="Another process judges"):
        KeyedJournal(path, IN_USE)
