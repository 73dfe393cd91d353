"""What was paid for once survives."""

import pytest

from contracts.errors import ConflictError, DamagedFileError, KeyUnavailableError
from security.key_rotation import rotate_keys
from settings.encryption import use_encryption
from settings.model import Settings
from storage.encryption.container import HEADER_BYTES, is_encrypted
from storage.journal import KeyedJournal, journal_entries

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


@pytest.fixture
def sealed(tmp_path):
    """An encrypted journal with two entries, and its installation's keys."""
    installation = use_encryption(Settings(data_dir=tmp_path))
    path = tmp_path / "jobs" / "evaluate-1" / "answers.jsonl"
    with KeyedJournal(path, IN_USE) as journal:
        journal.add("a", {"text": "하나 \ud800"})
        journal.add("b", {"text": "둘"}, sync=False)
        journal.add("a", {"text": "셋"})
    return path, installation.keyring


def test_where_the_installation_encrypts_nothing_of_an_entry_lies_in_clear(sealed):
    path, _ = sealed
    with KeyedJournal(path, IN_USE) as journal:
        assert list(journal) == ["a", "b"]
        assert (journal.get("a"), journal.get("b")) == ({"text": "셋"}, {"text": "둘"})
        journal.add("c", {"text": "넷"})
        assert journal.get("c") == {"text": "넷"}
    assert is_encrypted(path)
    assert b"text" not in path.read_bytes()
    texts = [entry["text"] for _, entry in journal_entries(path)]
    assert texts == ["하나 \ud800", "둘", "셋", "넷"]


@pytest.mark.parametrize("left", [0, 5, 255, 256, -1, -40])
def test_an_encrypted_journal_that_a_kill_cut_goes_on_with_what_is_whole(sealed, left):
    path, _ = sealed
    content = path.read_bytes()
    path.write_bytes(content[:left] if left else b"")
    with KeyedJournal(path, IN_USE) as journal:
        assert journal.get("a") == ({"text": "하나 \ud800"} if left < 0 else None)
        journal.add("a", {"text": "다시"})
    with KeyedJournal(path, IN_USE) as journal:
        assert journal.get("a") == {"text": "다시"}


@pytest.mark.parametrize("harm", ["a flipped bit", "records in another order", "a record twice"])
def test_an_encrypted_journal_that_somebody_changed_is_refused(sealed, harm):
    path, _ = sealed
    content = path.read_bytes()
    first = HEADER_BYTES + 4 + int.from_bytes(content[HEADER_BYTES : HEADER_BYTES + 4])
    second = first + 4 + int.from_bytes(content[first : first + 4])
    match harm:
        case "a flipped bit":
            changed = content[: first - 1] + bytes([content[first - 1] ^ 1]) + content[first:]
        case "records in another order":
            changed = content[:HEADER_BYTES] + content[first:second] + content[HEADER_BYTES:first] + content[second:]
        case _:
            changed = content[:second] + content[first:]
    path.write_bytes(changed)
    with pytest.raises(DamagedFileError, match="the record at byte"):
        KeyedJournal(path, IN_USE)


def test_a_journal_outlives_new_keys_also_while_it_is_written_and_dies_with_its_scope(sealed, tmp_path):
    path, keyring = sealed
    with KeyedJournal(path, IN_USE) as journal:
        assert rotate_keys(keyring, tmp_path, new_key=False, file_keys=True).headers == 1
        journal.add("c", {"text": "넷"})
    with KeyedJournal(path, IN_USE) as journal:
        assert journal.get("a") == {"text": "셋"}
        assert journal.get("c") == {"text": "넷"}
    keyring.erase("jobs")
    with pytest.raises(KeyUnavailableError, match="erased"):
        KeyedJournal(path, IN_USE)


@pytest.mark.parametrize("encrypts", [True, False])
def test_forgotten_entries_are_in_the_file_no_more_nor_are_their_older_forms(tmp_path, encrypts):
    use_encryption(Settings(data_dir=tmp_path, encryption="on" if encrypts else "off"))
    path = tmp_path / "jobs" / "answers.jsonl"
    with KeyedJournal(path, IN_USE) as journal:
        journal.add("a", {"text": "하나"})
        journal.add("b", {"text": "둘"})
        journal.add("a", {"text": "셋"})
        journal.forget({"a"})
    assert list(journal_entries(path)) == [("b", {"text": "둘"})]
    assert is_encrypted(path) is encrypts
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_journal_that_was_begun_in_plain_goes_on_so(tmp_path):
    path = tmp_path / "jobs" / "answers.jsonl"
    with KeyedJournal(path, IN_USE) as journal:
        journal.add("a", {"text": "하나"})
    use_encryption(Settings(data_dir=tmp_path))
    with KeyedJournal(path, IN_USE) as journal:
        journal.add("b", {"text": "둘"})
    assert [key for key, _ in journal_entries(path)] == ["a", "b"]
