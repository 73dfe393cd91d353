"""The folder of a backup: what is stored once, what is noticed, what is kept."""

import io
import random

import pytest

from contracts.backups import BackupContents, BackupEntry, BackupSnapshot, EntryKind
from contracts.errors import ConflictError, DamagedFileError, InvalidRequestError, KeyUnavailableError, NotFoundError
from contracts.record import utc_now
from stages.backups.checking import check_repository
from stages.backups.repository import BackupRepository
from storage.encryption.key_keepers import make_key_file


@pytest.fixture
def key(tmp_path):
    make_key_file(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def repository(tmp_path, key):
    return BackupRepository.create_or_open(tmp_path / "backup", key, BackupContents.DATA)


def stored(repository, *contents):
    return [names for _, names in repository.store(io.BytesIO(content) for content in contents)]


def snapshot(repository, snapshot_id, chunks):
    entry = BackupEntry(path="a/file", kind=EntryKind.FILE, mode=0o600, size=1, chunks=chunks)
    made = BackupSnapshot(
        snapshot_id=snapshot_id,
        contents=BackupContents.DATA,
        made_at=utc_now(),
        data_dir="/srv/tuneway",
        entries=[entry],
    )
    repository.write_snapshot(made)
    return made


def silent(*_):
    """No progress is shown."""


def test_what_is_stored_comes_back_and_the_same_content_is_stored_once(repository, tmp_path, key):
    content = random.Random(2).randbytes(9 * 1024 * 1024)
    first, again, empty = stored(repository, content, content, b"")
    assert first == again
    assert empty == []
    assert b"".join(repository.read(name) for name in first) == content
    assert len(repository.object_names()) == len(first)
    other = BackupRepository.open(tmp_path / "backup", key)
    assert stored(other, content) == [first]
    assert other.written == 0


def test_nothing_of_it_lies_in_clear(repository, tmp_path):
    (chunks,) = stored(repository, b"the secret sentence " * 100)
    snapshot(repository, "1", chunks)
    files = [path for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert not any(b"secret sentence" in path.read_bytes() or b"a/file" in path.read_bytes() for path in files)


def test_another_key_opens_nothing(repository, tmp_path):
    make_key_file(tmp_path / "other")
    with pytest.raises(KeyUnavailableError, match="does not open"):
        BackupRepository.open(tmp_path / "backup", tmp_path / "other")


def test_a_damaged_and_a_missing_object_are_named_and_written_again_after_mending(repository):
    one, two, three = stored(repository, b"one", b"two", b"three")
    snapshot(repository, "1", one)
    snapshot(repository, "2", [*one, *two])
    snapshot(repository, "3", three)
    path = repository.folder / "objects" / two[0][:2] / two[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    (repository.folder / "objects" / three[0][:2] / three[0]).unlink()
    with pytest.raises(DamagedFileError):
        repository.read(two[0])
    check = check_repository(repository, mend=True, on_progress=silent)
    assert [(found.snapshot_id, found.damaged) for found in check.snapshots] == [
        ("1", []),
        ("2", ["a/file"]),
        ("3", ["a/file"]),
    ]
    assert (check.is_whole, check.damaged_objects, check.set_aside) == (False, 1, 1)
    stored(repository, b"two", b"three")
    assert check_repository(repository, on_progress=silent).is_whole


def test_an_object_under_the_name_of_another_is_noticed(repository):
    one, two = stored(repository, b"one", b"two")
    folder = repository.folder / "objects"
    (folder / two[0][:2] / two[0]).write_bytes((folder / one[0][:2] / one[0]).read_bytes())
    with pytest.raises(DamagedFileError, match="another chunk"):
        repository.read(two[0])


def test_a_snapshot_that_was_edited_is_named(repository):
    snapshot(repository, "1", stored(repository, b"one")[0])
    path = repository.folder / "snapshots" / "1"
    path.write_bytes(path.read_bytes()[:-3])
    check = check_repository(repository, on_progress=silent)
    assert (check.unreadable_snapshots, check.is_whole) == (["1"], False)


def test_only_the_newest_are_kept_with_what_they_name(repository):
    one, two, shared = stored(repository, b"one", b"two", b"shared")
    snapshot(repository, "1", [*one, *shared])
    snapshot(repository, "2", [*two, *shared])
    (repository.folder / "objects" / "00").mkdir(exist_ok=True)
    left = repository.folder / "objects" / "00" / ".ff.0.tmp"
    left.write_bytes(b"of a killed writer")
    assert repository.sweep() == 1
    assert repository.keep(1) == ["1"]
    assert sorted(repository.object_names()) == sorted([*two, *shared])
    assert repository.snapshot().snapshot_id == "2"
    assert repository.keep(1) == []


def test_one_writer_at_a_time(repository, tmp_path, key):
    other = BackupRepository.open(tmp_path / "backup", key)
    with repository.locked(writing=True), pytest.raises(ConflictError), other.locked(writing=False):
        pass
    with repository.locked(writing=False), other.locked(writing=False):
        pass


def test_wrong_folders_are_refused(tmp_path, key, repository):
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    with pytest.raises(InvalidRequestError, match="not a backup repository"):
        BackupRepository.create_or_open(tmp_path / "else", key, BackupContents.DATA)
    with pytest.raises(InvalidRequestError, match="something else"):
        BackupRepository.create_or_open(tmp_path / "backup", key, BackupContents.KEYS)
    with pytest.raises(NotFoundError, match="no backup repository"):
        BackupRepository.open(tmp_path / "none", key)
    with pytest.raises(NotFoundError, match="no such snapshot"):
        repository.snapshot()
