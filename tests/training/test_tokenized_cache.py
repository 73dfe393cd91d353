"""The cache gives what tokenising would give, or nothing."""

import threading

import pytest

from tests.training.tiny_model import CHAT_TEMPLATE, make_dataset, make_tokenizer
from training import tokenized_cache
from training.conversations import read_conversations, tokenize_rows, training_template
from training.tokenized_cache import KEPT_ENTRIES, cached_rows, what_shapes


@pytest.fixture
def split(tmp_path):
    return make_dataset(tmp_path / "data", train=12, validation=4) / "train.parquet"


@pytest.fixture
def take(split, tmp_path):
    """Takes the split's rows through the cache."""
    tokenizer = make_tokenizer()

    def rows(length=512, cache=tmp_path / "cache"):
        conversations = read_conversations(split)
        return cached_rows(split, conversations, tokenizer, training_template(tokenizer), length, cache)

    return rows


@pytest.fixture
def tokenised(monkeypatch):
    """How often rows were really tokenised."""
    calls = []

    def counted(*arguments):
        calls.append(1)
        return tokenize_rows(*arguments)

    monkeypatch.setattr(tokenized_cache, "tokenize_rows", counted)
    return calls


def test_the_second_time_the_rows_come_from_the_cache_and_are_the_same(take, tokenised):
    first = take()
    assert take() == first == take(cache=None)
    assert len(tokenised) == 2  # once for the cache, once without one


def test_a_damaged_entry_is_made_anew(take, tokenised, tmp_path):
    first = take()
    (entry,) = (tmp_path / "cache" / "tokenized").iterdir()
    content = (entry / "rows.arrow").read_bytes()
    (entry / "rows.arrow").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert take() == first
    (entry / "manifest.json").unlink()
    assert take() == first
    assert len(tokenised) == 3


def test_everything_that_shapes_the_rows_is_part_of_the_key(split, monkeypatch):
    plain = what_shapes(split, make_tokenizer(), CHAT_TEMPLATE, 512)
    longer = make_tokenizer()
    longer.add_tokens(["새토큰"])
    assert what_shapes(split, longer, CHAT_TEMPLATE, 512) != plain
    assert what_shapes(split, make_tokenizer(), CHAT_TEMPLATE + " ", 512) != plain
    assert what_shapes(split, make_tokenizer(), CHAT_TEMPLATE, 511) != plain
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "9.9")
    assert what_shapes(split, make_tokenizer(), CHAT_TEMPLATE, 512) != plain
    monkeypatch.undo()
    split.write_bytes(split.read_bytes() + b"\0")
    assert what_shapes(split, make_tokenizer(), CHAT_TEMPLATE, 512) != plain


def test_two_writers_at_once_leave_one_whole_entry(take, tmp_path):
    found = []
    writers = [threading.Thread(target=lambda: found.append(take())) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert found == [found[0]] * 4
    assert len(list((tmp_path / "cache" / "tokenized").iterdir())) == 1


def test_the_entries_used_last_are_kept(take, tmp_path):
    for length in range(20, 20 + KEPT_ENTRIES + 3):
        take(length)
    assert len(list((tmp_path / "cache" / "tokenized").iterdir())) == KEPT_ENTRIES
