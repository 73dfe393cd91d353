"""The JSON in a generator's answer, also where there is more around it or less of it than asked for."""

import json
import re
from collections.abc import Iterator

from contracts.record import JsonObject

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)
_SAMPLE_KEYS = frozenset({"question", "answer", "summary", "turns"})


def samples_in(text: str) -> list[JsonObject] | None:
    """The samples of an answer; an empty list where the model says that there are none; None for no such JSON.

    Reasoning, code fences and words around the JSON are passed over. Of an answer that was cut off, the samples that
    are whole are kept.
    """
    plain = _THOUGHTS.sub("", text)
    for value in _values(plain):
        if isinstance(value, dict) and isinstance(value.get("samples"), list):
            return [sample for sample in value["samples"] if isinstance(sample, dict)]
        if isinstance(value, list) and all(_is_sample(entry) for entry in value) and value:
            return list(value)
        if _is_sample(value):
            return [sample for sample in _objects(plain) if _is_sample(sample)]
    whole = [sample for sample in _objects(plain) if _is_sample(sample)]
    return whole or None


def _is_sample(value: object) -> bool:
    return isinstance(value, dict) and not _SAMPLE_KEYS.isdisjoint(value)


def _values(text: str) -> Iterator[object]:
    """Each outermost JSON object or list of the text that is whole."""
    position = 0
    while (begin := _next(text, "[{", position)) >= 0:
        try:
            value, position = _DECODER.raw_decode(text, begin)
        except (ValueError, RecursionError):
            position = begin + 1
            continue
        yield value


def _objects(text: str) -> Iterator[JsonObject]:
    """Each whole object, outermost first; inside of what is broken, the objects that are not."""
    position = 0
    while (begin := _next(text, "{", position)) >= 0:
        try:
            value, end = _DECODER.raw_decode(text, begin)
        except (ValueError, RecursionError):
            position = begin + 1
            continue
        position = end
        if isinstance(value, dict):
            yield value


def _next(text: str, letters: str, position: int) -> int:
    found = [at for letter in letters if (at := text.find(letter, position)) >= 0]
    return min(found, default=-1)
