"""Answers that were paid for survive."""

from typing import Any

import pytest

from contracts.errors import ConflictError, InvalidDataError
from data_prep.generation.client import Completion
from data_prep.generation.journal import JOURNAL_NAME, Journal, asked_key


def completion(text: str) -> Completion:
    return Completion(text, "stop", 10, 5, False)


def test_an_answer_is_found_again_when_the_journal_is_opened_again(tmp_path):
    with Journal(tmp_path) as journal:
        journal.add("k1", completion("하나\n둘 \ud800"))
        journal.add("k2", completion("셋"))
    with Journal(tmp_path) as journal:
        assert len(journal) == 2
        assert journal.get("k1") == completion("하나\n둘 \ud800")
        assert journal.get("k3") is None


@pytest.mark.parametrize("kept", [1, 20, 60])
def test_a_line_that_a_kill_cut_in_half_is_dropped_and_the_rest_kept(tmp_path, kept):
    with Journal(tmp_path) as journal:
        journal.add("k1", completion("하나"))
        journal.add("k2", completion("둘"))
    path = tmp_path / JOURNAL_NAME
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    with Journal(tmp_path) as journal:
        assert "k1" in journal
        assert "k2" not in journal
        journal.add("k2", completion("다시"))
    with Journal(tmp_path) as journal:
        assert journal.get("k2") == completion("다시")


def test_a_damaged_line_in_the_middle_is_told_instead_of_lost(tmp_path):
    (tmp_path / JOURNAL_NAME).write_text('{"key": "k1"\n{"key": "k2"}\n', encoding="utf-8")
    with pytest.raises(InvalidDataError, match="line 1"), Journal(tmp_path):
        pass


def test_two_processes_never_ask_for_one_dataset_at_once(tmp_path):
    with Journal(tmp_path), pytest.raises(ConflictError, match="one generation a dataset name"):
        Journal(tmp_path)
    with Journal(tmp_path):
        pass


def test_only_the_owner_reads_answers(tmp_path):
    with Journal(tmp_path):
        assert (tmp_path / JOURNAL_NAME).stat().st_mode & 0o777 == 0o600


def test_another_seed_model_or_prompt_is_another_question():
    asked: dict[str, Any] = {
        "prompt_sha256": "a",
        "model": "m",
        "temperature": 0.3,
        "max_tokens": 10,
        "seed": 0,
        "attempt": 0,
    }
    other = [asked, *({**asked, name: value} for name, value in [("model", "n"), ("seed", 1), ("prompt_sha256", "b")])]
    assert len({asked_key(**one) for one in other}) == 4
