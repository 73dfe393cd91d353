"""A model of the harness that remembers: what it has computed once is never computed again, whatever is killed when.

Imports the harness; import it where a suite runs, not before.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from lm_eval.api.model import LM

from storage.journal import KeyedJournal

REQUESTS_AT_A_TIME = 32
"""Computed between two entries in the journal."""


class JournaledModel(LM):  # type: ignore[misc]
    """Another model of the harness, with a journal in front of it."""

    def __init__(self, model: Any, journal: KeyedJournal, on_progress: Callable[[int, int], None]) -> None:
        super().__init__()
        self._model = model
        self._journal = journal
        self._on_progress = on_progress

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        """Log likelihood of a continuation, and whether it is the likeliest one."""
        return [(value[0], value[1]) for value in self._remembered("loglikelihood", requests)]

    def loglikelihood_rolling(self, requests: list[Any]) -> list[Any]:
        """Log likelihood of a whole text."""
        return self._remembered("loglikelihood_rolling", requests)

    def generate_until(self, requests: list[Any]) -> list[Any]:
        """Text up to a stop sequence."""
        return self._remembered("generate_until", requests)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """As the model itself does."""
        return str(self._model.apply_chat_template(chat_history, add_generation_prompt))

    @property
    def tokenizer_name(self) -> str:
        """As the model itself says."""
        return str(self._model.tokenizer_name)

    def _remembered(self, kind: str, requests: list[Any]) -> list[Any]:
        keys = [_key(kind, request.args) for request in requests]
        missing = [place for place, key in enumerate(keys) if key not in self._journal]
        self._on_progress(len(requests) - len(missing), len(requests))
        for start in range(0, len(missing), REQUESTS_AT_A_TIME):
            places = missing[start : start + REQUESTS_AT_A_TIME]
            values = getattr(self._model, kind)([requests[place] for place in places], disable_tqdm=True)
            for place, value in zip(places, values, strict=True):
                self._journal.add(keys[place], {"value": value}, sync=False)
            self._journal.sync()
            self._on_progress(len(requests) - len(missing) + start + len(places), len(requests))
        found = [self._journal.get(key) for key in keys]
        return [entry["value"] for entry in found if entry is not None]


def _key(kind: str, arguments: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps([kind, *arguments], ensure_ascii=False).encode()).hexdigest()
