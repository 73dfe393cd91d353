"""Every answer that was paid for, on the disk before anything else happens: no kill loses one.

One file a dataset name, one line an answer. Answers are found by what was asked (`asked_key`), so a generation with
other limits, more documents or another template uses what is there.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import Self

from contracts.errors import ConflictError
from data_prep.generation.client import Completion
from storage.journal import KeyedJournal

JOURNAL_NAME = "answers.jsonl"


def asked_key(*, prompt_sha256: str, model: str, temperature: float, max_tokens: int, seed: int, attempt: int) -> str:
    """What an answer is an answer to."""
    asked = json.dumps([prompt_sha256, model, temperature, max_tokens, seed, attempt])
    return hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()


class Journal:
    """The file of answers; a context manager that one process holds at a time."""

    def __init__(self, folder: Path) -> None:
        self._answers = KeyedJournal(
            folder / JOURNAL_NAME,
            ConflictError(
                "Another process generates samples for this dataset name",
                value=folder.name,
                allowed="one generation a dataset name at a time",
                next_step="wait for it, or use another dataset_name",
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answers.__exit__(kind, error, trace)

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, key: str, completion: Completion) -> None:
        """Keep an answer. When this returns, it survives a power cut."""
        self._answers.add(key, dataclasses.asdict(completion))

    def get(self, key: str) -> Completion | None:
        """The answer to what was asked; None where it has not been answered."""
        answer = self._answers.get(key)
        return None if answer is None else Completion(**answer)
