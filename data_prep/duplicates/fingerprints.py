"""What of a row is remembered in order to find its duplicates: 544 bytes, whatever the row's length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from re import compile as pattern
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.data_policy import DuplicatePolicy
from contracts.enums import DuplicateMode
from contracts.errors import InvalidDataError
from data_prep.duplicates.shingles import PERMUTATIONS, compared_characters, hash_shingles, minhash_signatures
from data_prep.rows import Message, Row

_DIGITS = pattern(r"[0-9]+")
_METHOD = 1
"""Raised when fingerprints of the same rows change."""
_BATCH_CHARACTERS = 60_000
"""Characters that are worked on at once: their arrays stay in a core's cache."""

_DTYPE = np.dtype(
    [
        ("signature", np.uint32, (PERMUTATIONS,)),
        ("content", np.uint64, (2,)),
        ("numbers", np.uint64),
        ("size", np.uint32),
        ("recipe", np.uint32),
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Fingerprints of rows, in the rows' order. Equal for equal rows, however the rows were cut into chunks."""

    records: NDArray[Any]
    """One record a row; may lie in a memory-mapped file."""

    def __len__(self) -> int:
        """How many rows."""
        return len(self.records)

    @property
    def signatures(self) -> NDArray[np.uint32]:
        """(rows, 128) MinHash values of the shingle sets."""
        return self.records["signature"]

    @property
    def content(self) -> NDArray[np.uint64]:
        """(rows, 2) key that is equal for rows that say the same with the same words."""
        return self.records["content"]

    @property
    def numbers(self) -> NDArray[np.uint64]:
        """(rows,) hash of every number of the row, in order."""
        return self.records["numbers"]

    @property
    def sizes(self) -> NDArray[np.uint32]:
        """(rows,) how many shingles a row has, repeated ones counted again; 0 where a row has no such turn at all."""
        return self.records["size"]

    def save(self, path: Path) -> None:
        """Write them as one .npy file, in whole before it returns."""
        with path.open("wb") as file:
            np.save(file, np.asarray(self.records), allow_pickle=False)

    @classmethod
    def load(cls, path: Path, *, mmap: bool = True) -> "Fingerprints":
        """What `save` wrote; mapped into memory unless `mmap` is False. Raises InvalidDataError for another file."""
        try:
            records = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise _unreadable(path) from error
        if records.dtype != _DTYPE:
            raise _unreadable(path)
        return cls(records)

    @classmethod
    def concatenate(cls, parts: Iterable["Fingerprints"]) -> "Fingerprints":
        """All parts as one, in memory."""
        return cls(np.concatenate([np.empty(0, _DTYPE), *(part.records for part in parts)]))

    def minhash(self, index: int) -> Any:
        """The row's signature as a `datasketch.MinHash`."""
        from datasketch import MinHash

        from data_prep.duplicates.shingles import shingle_hash

        return MinHash(hashvalues=np.array(self.signatures[index]), scheme="affine32", hashfunc=shingle_hash)


def fingerprint_rows(rows: Sequence[Row], policy: DuplicatePolicy) -> Fingerprints:
    """Fingerprints of the part of each row that the policy's mode compares."""
    records = np.zeros(len(rows), _DTYPE)
    records["recipe"] = recipe_of(policy)
    start, characters = 0, 0
    for end, row in enumerate(rows, 1):
        characters += sum(len(message.content) for message in row.messages)
        if characters >= _BATCH_CHARACTERS or end == len(rows):
            _fill(records[start:end], rows[start:end], policy)
            start, characters = end, 0
    return Fingerprints(records)


def compared_text(row: Row, mode: DuplicateMode) -> str:
    """The text whose shingles are compared: everything but the system prompt, or the questions, or the answer."""
    if mode is DuplicateMode.QUESTION:
        return row.question
    if mode is DuplicateMode.ANSWER:
        return row.answer
    return "\n".join(message.content for message in row.messages if message.role != "system")


def recipe_of(policy: DuplicatePolicy) -> int:
    """Equal for policies whose fingerprints may be compared with each other."""
    return _METHOD << 16 | list(DuplicateMode).index(policy.mode) << 8 | policy.shingle_characters


def check_recipe(fingerprints: Fingerprints, policy: DuplicatePolicy) -> None:
    """Raise InvalidDataError where fingerprints were made with another mode or shingle length than the policy's."""
    if len(fingerprints) and (fingerprints.records["recipe"] != recipe_of(policy)).any():
        raise InvalidDataError(
            "The fingerprints were made with another duplicate policy",
            value=f"mode {policy.mode.value}, shingles of {policy.shingle_characters} characters",
            allowed="fingerprints that fingerprint_rows made with the same mode and shingle_characters",
            next_step="make the fingerprints again",
        )


def _fill(records: NDArray[Any], rows: Sequence[Row], policy: DuplicatePolicy) -> None:
    turns = [_compared_turns(row, policy.mode) for row in rows]
    messages = [message for row in turns for message in row]
    owners = np.repeat(np.arange(len(rows)), [len(row) for row in turns])
    points, lengths = compared_characters(message.content for message in messages)

    _fill_keys(records, turns, points, lengths)

    if policy.mode is DuplicateMode.PAIR and any(message.role == "system" for message in messages):
        shingled = np.array([message.role != "system" for message in messages])
        points = points[np.repeat(shingled, lengths)]
        lengths = np.where(shingled, lengths, 0)
    hashes, counts = hash_shingles(
        points, np.bincount(owners, lengths, len(rows)).astype(np.int64), policy.shingle_characters
    )
    records["signature"] = minhash_signatures(hashes, counts)
    records["size"] = np.where([len(row) > 0 for row in turns], counts, 0)


def _compared_turns(row: Row, mode: DuplicateMode) -> Sequence[Message]:
    if mode is DuplicateMode.QUESTION:
        return [message for message in row.messages if message.role == "user"]
    if mode is DuplicateMode.ANSWER:
        return row.messages[-1:]
    return row.messages


def _fill_keys(
    records: NDArray[Any], turns: Sequence[Sequence[Message]], points: NDArray[np.uint32], lengths: NDArray[np.int64]
) -> None:
    """Content keys (by the rule of `exact.content_key`) and numbers."""
    raw = memoryview(points.tobytes())
    ends = (np.cumsum(lengths) * points.itemsize).tolist()
    counted = np.concatenate(([0], np.cumsum((points >= ord("0")) & (points <= ord("9")))))
    after = np.cumsum(lengths)
    has_digits = (counted[after] > counted[after - lengths]).tolist()
    content, numbers = bytearray(), bytearray()
    at, begin = 0, 0
    for row in turns:
        digest = blake2b(digest_size=16)
        found: list[str] = []
        for message in row:
            end = ends[at]
            digits = _DIGITS.findall(message.content) if has_digits[at] else []
            at += 1
            # punctuation alone ("!!!") compares as itself, not as nothing
            text = raw[begin:end] if end > begin else message.content.encode("utf-8", "surrogatepass")
            # without punctuation 3.5 and 35 would be one number
            digest.update(f"{message.role}\0{len(text)}\0{' '.join(digits)}\0".encode("utf-8", "surrogatepass"))
            digest.update(text)
            found += digits
            begin = end
        content += digest.digest()
        numbers += blake2b(" ".join(found).encode(), digest_size=8).digest() if found else _NO_NUMBERS
    records["content"] = np.frombuffer(content, "<u8").reshape(-1, 2)
    records["numbers"] = np.frombuffer(numbers, "<u8")


_NO_NUMBERS = bytes(8)


def _unreadable(path: Path) -> InvalidDataError:
    return InvalidDataError(
        "A file of fingerprints cannot be read",
        value=str(path),
        allowed="a file written by Fingerprints.save of this version",
        next_step="make the fingerprints again",
    )
