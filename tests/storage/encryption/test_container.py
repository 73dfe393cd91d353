"""The encrypted file: what was written is read, at any place; whatever else was done to it is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import DamagedFileError, KeyUnavailableError
from storage.encryption.container import (
    HEADER_BYTES,
    TAG_BYTES,
    EncryptedReader,
    EncryptedWriter,
    is_encrypted,
    read_header,
)
from storage.encryption.keyring import Keyring
from tests.storage.encryption.keys import make_keyring

CHUNK = 64
STRIDE = CHUNK + TAG_BYTES


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return make_keyring(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def written(path: Path, keyring: Keyring, content: bytes, scope: str = "dataset/a") -> bytes:
    with EncryptedWriter(path, keyring, scope, chunk_bytes=CHUNK) as stream:
        stream.write(content)
    return path.read_bytes()


def read(path: Path, keyring: Keyring) -> bytes:
    with EncryptedReader(path, keyring) as stream:
        return stream.read()


@settings(max_examples=40)
@given(pieces=st.lists(st.binary(max_size=200), max_size=6))
def test_what_was_written_in_any_pieces_is_read_again(keyring: Keyring, folder: Path, pieces: list[bytes]) -> None:
    path = folder / "pieces"
    with EncryptedWriter(path, keyring, "dataset/a", chunk_bytes=CHUNK) as stream:
        for piece in pieces:
            stream.write(piece)
    assert read(path, keyring) == b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_sizes_at_the_edges_of_chunks_are_read_again(keyring: Keyring, folder: Path, size: int) -> None:
    content = os.urandom(size)
    written(folder / "edge", keyring, content)
    assert read(folder / "edge", keyring) == content


@settings(max_examples=40)
@given(
    content=st.binary(max_size=500),
    steps=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 300)), max_size=8),
)
def test_reading_at_any_place_gives_what_a_plain_file_gives(
    keyring: Keyring, folder: Path, content: bytes, steps: list[tuple[int, int]]
) -> None:
    written(folder / "places", keyring, content)
    with EncryptedReader(folder / "places", keyring) as stream:
        assert stream.size == len(content)
        for offset, size in steps:
            stream.seek(offset)
            assert stream.read(size) == content[offset : offset + size]
        assert stream.seek(0, os.SEEK_END) == len(content)


@settings(max_examples=100)
@given(content=st.binary(max_size=400), place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused(keyring: Keyring, folder: Path, content: bytes, place: int, bit: int) -> None:
    sealed = bytearray(written(folder / "flipped", keyring, content))
    place %= len(sealed)
    sealed[place] ^= 1 << bit
    (folder / "flipped").write_bytes(sealed)
    # the first bytes tell a container from a plain file; a changed scope or id of a key names a key that is not there
    with pytest.raises((DamagedFileError, KeyUnavailableError)) as refused:
        read(folder / "flipped", keyring)
    assert refused.type is DamagedFileError or place < HEADER_BYTES


def _cut(sealed: bytes) -> bytes:
    return sealed[:-1]


def _cut_at_a_chunk(sealed: bytes) -> bytes:
    return sealed[: HEADER_BYTES + 2 * STRIDE]


def _cut_all_chunks(sealed: bytes) -> bytes:
    return sealed[:HEADER_BYTES]


def _cut_in_the_header(sealed: bytes) -> bytes:
    return sealed[:100]


def _swap_chunks(sealed: bytes) -> bytes:
    first, second = sealed[HEADER_BYTES:][:STRIDE], sealed[HEADER_BYTES + STRIDE :][:STRIDE]
    return sealed[:HEADER_BYTES] + second + first + sealed[HEADER_BYTES + 2 * STRIDE :]


def _append(sealed: bytes) -> bytes:
    return sealed + b"x"


def _append_a_chunk(sealed: bytes) -> bytes:
    return sealed + sealed[HEADER_BYTES:][:STRIDE]


def _repeat_the_last_chunk(sealed: bytes) -> bytes:
    return sealed + sealed[HEADER_BYTES + 2 * STRIDE :]


def _edit_the_chunk_size(sealed: bytes) -> bytes:
    return sealed[:10] + (2 * CHUNK).to_bytes(4) + sealed[14:]


def _edit_the_suite(sealed: bytes) -> bytes:
    return sealed[:9] + b"\x02" + sealed[10:]


def _edit_the_scope(sealed: bytes) -> bytes:
    return sealed.replace(b"dataset/a", b"dataset/b", 1)


@pytest.mark.parametrize(
    "change",
    [
        _cut,
        _cut_at_a_chunk,
        _cut_all_chunks,
        _cut_in_the_header,
        _swap_chunks,
        _append,
        _append_a_chunk,
        _repeat_the_last_chunk,
        _edit_the_chunk_size,
        _edit_the_suite,
    ],
)
def test_a_changed_file_is_refused_with_what_to_do(
    keyring: Keyring, folder: Path, change: Callable[[bytes], bytes]
) -> None:
    path = folder / "changed"
    path.write_bytes(change(written(path, keyring, bytes(range(150)))))
    with pytest.raises(DamagedFileError, match=r"The encrypted file cannot be read.*restore it from a backup"):
        read(path, keyring)


def test_a_cut_end_is_refused_before_a_byte_is_read(keyring: Keyring, folder: Path) -> None:
    path = folder / "cut"
    path.write_bytes(_cut_at_a_chunk(written(path, keyring, bytes(150))))
    with pytest.raises(DamagedFileError, match="chunk 2 of 2"):
        EncryptedReader(path, keyring)


def test_a_file_cannot_be_passed_off_as_one_of_another_dataset(keyring: Keyring, folder: Path) -> None:
    written(folder / "b", keyring, b"", scope="dataset/b")
    path = folder / "moved"
    sealed = written(path, keyring, b"of a")
    other = (folder / "b").read_bytes()
    # with its scope goes the slot of b's key
    path.write_bytes(_edit_the_scope(sealed)[:152] + other[152:HEADER_BYTES] + sealed[HEADER_BYTES:])
    with pytest.raises(DamagedFileError):
        read(path, keyring)


def test_chunks_of_two_files_are_not_exchanged(keyring: Keyring, folder: Path) -> None:
    first, second = (written(folder / name, keyring, bytes(150)) for name in ("one", "two"))
    (folder / "one").write_bytes(first[:HEADER_BYTES] + second[HEADER_BYTES:])
    with pytest.raises(DamagedFileError):
        read(folder / "one", keyring)


def test_nothing_of_the_content_is_on_the_disk(keyring: Keyring, folder: Path) -> None:
    sealed = written(folder / "secret", keyring, b"canary " * 100)
    assert b"canary" not in sealed
    assert is_encrypted(folder / "secret")
    assert written(folder / "secret", keyring, b"canary " * 100) != sealed


def test_a_failed_block_leaves_the_old_file_and_nothing_else(keyring: Keyring, tmp_path: Path) -> None:
    path = tmp_path / "file"
    written(path, keyring, b"old")
    with pytest.raises(RuntimeError), EncryptedWriter(path, keyring, "dataset/a") as stream:
        stream.write(b"new")
        raise RuntimeError
    forgotten = EncryptedWriter(path, keyring, "dataset/a")
    forgotten.write(b"newer")
    del forgotten
    assert read(path, keyring) == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_columns_of_a_parquet_file_are_read_without_the_rest(keyring: Keyring, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    table = pyarrow.table({"key": list(range(2000)), "text": [os.urandom(100).hex() for _ in range(2000)]})
    with EncryptedWriter(path, keyring, "dataset/a", chunk_bytes=4096) as stream:
        pyarrow.parquet.write_table(table, stream, use_dictionary=False)
    opened: list[int] = []

    class CountingReader(EncryptedReader):
        def _load(self, number: int) -> None:
            opened.append(number)
            super()._load(number)

    with CountingReader(path, keyring) as counted, pyarrow.parquet.ParquetFile(counted, pre_buffer=False) as file:
        assert file.read(columns=["key"])["key"].to_pylist() == table["key"].to_pylist()
        assert len(set(opened)) < counted.size // 4096 // 3
    with EncryptedReader(path, keyring) as reader:
        assert pyarrow.parquet.read_table(reader) == table


def test_the_header_tells_suite_scope_and_key(keyring: Keyring, folder: Path) -> None:
    written(folder / "told", keyring, b"x")
    descriptor = os.open(folder / "told", os.O_RDONLY)
    try:
        header = read_header(descriptor, folder / "told")
    finally:
        os.close(descriptor)
    assert (header.suite, header.chunk_bytes, header.scope) == (1, CHUNK, "dataset/a")
    assert header.slot.key_id.hex() == keyring.current_key("dataset/a")[0]
