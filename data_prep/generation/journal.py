"""Every answer that was paid for, on the disk before anything else happens: no kill loses one.

One file a dataset name, one line an answer, flushed and synced line by line. A line that a kill cut in half is dropped
when the file is opened again. Answers are found by what was asked (`AskedKey`), so a generation with other limits, more
documents or another template uses what is there.
"""

import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from contracts.errors import ConflictError, InvalidDataError
from data_prep.generation.client import Completion
from storage.files import fsync_path

JOURNAL_NAME = "answers.jsonl"


def asked_key(*, prompt_sha256: str, model: str, temperature: float, max_tokens: int, seed: int, attempt: int) -> str:
    """What an answer is an answer to."""
    asked = json.dumps([prompt_sha256, model, temperature, max_tokens, seed, attempt])
    return hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    length: int


class Journal:
    """The file of answers; a context manager that one process holds at a time. In memory are keys and places only."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_NAME
        self._places: dict[str, _Place] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # answers may hold what the documents hold: for the owner's eyes
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise ConflictError(
                "Another process generates samples for this dataset name",
                value=folder.name,
                allowed="one generation a dataset name at a time",
                next_step="wait for it, or use another dataset_name",
            ) from error
        try:
            self._end = self._read()
        except BaseException:
            os.close(self._descriptor)
            raise
        fsync_path(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, key: str, completion: Completion) -> None:
        """Keep an answer. When this returns, it survives a power cut."""
        line = {
            "key": key,
            "text": completion.text,
            "finish_reason": completion.finish_reason,
            "input_tokens": completion.input_tokens,
            "output_tokens": completion.output_tokens,
            "tokens_estimated": completion.tokens_estimated,
        }
        # escaped: a lone surrogate of a broken server is kept too
        raw = (json.dumps(line, ensure_ascii=True) + "\n").encode()
        written = 0
        while written < len(raw):
            written += os.write(self._descriptor, raw[written:])
        os.fdatasync(self._descriptor)
        self._places[key] = _Place(self._end, len(raw))
        self._end += len(raw)

    def get(self, key: str) -> Completion | None:
        """The answer to what was asked; None where it has not been answered."""
        place = self._places.get(key)
        if place is None:
            return None
        line = json.loads(os.pread(self._descriptor, place.length, place.offset))
        del line["key"]
        return Completion(**line)

    def _read(self) -> int:
        """Find every whole line; cut off what a kill left of the last one. Returns the file's length."""
        offset = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as stream:
            stream.seek(0)
            for number, raw in enumerate(stream, 1):
                if not raw.endswith(b"\n"):
                    break
                try:
                    key = json.loads(raw)["key"]
                except (ValueError, LookupError, TypeError) as error:
                    raise InvalidDataError(
                        "The file of generated answers is damaged",
                        value=f"{self._path}, line {number}",
                        allowed="one JSON object a line, as it was written",
                        next_step="restore the file from a backup, or delete that line: its question is asked again",
                    ) from error
                self._places[str(key)] = _Place(offset, len(raw))
                offset += len(raw)
        if os.fstat(self._descriptor).st_size != offset:
            os.ftruncate(self._descriptor, offset)
        return offset
