"""Personal data in a row replaced by the names of their kinds."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from contracts.enums import PersonalDataKind
from data_prep.masking.identifiers import LANGUAGE
from data_prep.masking.names import FoundName, find_names, occurrences
from data_prep.masking.shadow import shadow

SCORE_THRESHOLD = 0.4
_MAX_ROUNDS = 5
"""A token may uncover what it hid (a number that touched another one); the second round finds nothing as a rule."""

_MAY_HOLD_IDENTIFIER = re.compile(
    r"(?:[0-9][-.\s()*xX●○]{0,3}){7}"  # every number: resident, phone, card, account, licence, business
    r"|[0-9]{6}\s?-\s?[0-9]"
    r"|[0-9]{2,3}[가-힣]\s?[0-9]{4}"
    r"|[A-Za-z][0-9]{3}[A-Za-z][0-9]{4}"
    r"|(?:[0-9]{1,3}\.){3}[0-9]"
    r"|@|골뱅이|\(at\)|\[at\]"
)
"""Each recogniser needs one of these: texts without are not analysed (most are)."""


@dataclass(frozen=True, slots=True)
class PersonalDatum:
    """Where personal data stand in a text. The value itself is kept nowhere."""

    kind: PersonalDataKind
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text without its personal data."""

    text: str
    found: tuple[PersonalDatum, ...]
    """What was replaced; offsets are those of the text in the round that found it."""


def find_personal_data(texts: Sequence[str]) -> list[list[PersonalDatum]]:
    """Personal data in texts that belong together (the turns of a row): a name found in one counts in all."""
    shadows = [shadow(text) for text in texts]
    identifiers = [_identifiers(text) for text in shadows]
    named: list[list[FoundName]] = []
    for text, found in zip(shadows, identifiers, strict=True):
        for datum in found:
            text = text[: datum.start] + "\0" * (datum.end - datum.start) + text[datum.end :]
        named.append(list(find_names(text)))
    names = {text[name.start : name.end] for text, found in zip(shadows, named, strict=True) for name in found}
    for text, persons in zip(shadows, named, strict=True):
        for name in sorted(names):
            persons.extend(occurrences(name, text))
    return [
        _without_overlaps(
            [
                *found,
                *(PersonalDatum(PersonalDataKind.NAME, name.start, name.end, name.score) for name in persons),
            ]
        )
        for found, persons in zip(identifiers, named, strict=True)
    ]


def mask(texts: Sequence[str]) -> list[MaskedText]:
    """The texts with every piece of personal data replaced by its token, such as [전화번호]. Masked texts stay as they are."""
    current = list(texts)
    found_in: list[list[PersonalDatum]] = [[] for _ in texts]
    for _ in range(_MAX_ROUNDS):
        found_now = find_personal_data(current)
        if not any(found_now):
            break
        for index, found in enumerate(found_now):
            found_in[index] += found
            for datum in reversed(found):
                current[index] = current[index][: datum.start] + datum.kind.token + current[index][datum.end :]
    return [MaskedText(text, tuple(found)) for text, found in zip(current, found_in, strict=True)]


def _without_overlaps(found: Sequence[PersonalDatum]) -> list[PersonalDatum]:
    """Of overlapping finds the surer one stays, then the longer one."""
    taken: list[PersonalDatum] = []
    for datum in sorted(found, key=lambda one: (-one.score, one.start - one.end, one.start, one.kind)):
        if all(datum.end <= other.start or datum.start >= other.end for other in taken):
            taken.append(datum)
    return sorted(taken, key=lambda one: one.start)


def _identifiers(text: str) -> list[PersonalDatum]:
    if not _MAY_HOLD_IDENTIFIER.search(text):
        return []
    found = _analyzer().analyze(text, language=LANGUAGE, score_threshold=SCORE_THRESHOLD)
    return _without_overlaps(
        [PersonalDatum(PersonalDataKind[one.entity_type], one.start, one.end, one.score) for one in found]
    )


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    """Presidio with our recognisers and no language model: nothing is downloaded.

    Importing Presidio takes seconds, so it happens with the first text that needs it.
    """
    with _language_models_hidden():
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NoOpNlpEngine

        from data_prep.masking.identifiers import recognisers

    registry = RecognizerRegistry(recognizers=recognisers(), supported_languages=[LANGUAGE])
    engine = NoOpNlpEngine(models=[{"lang_code": LANGUAGE, "model_name": ""}])
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[LANGUAGE])


@contextmanager
def _language_models_hidden() -> Iterator[None]:
    """Presidio's import takes every language model library that is installed with it.

    We use none: without torch and transformers the import takes 2.0 s and 133 MB instead of 5.8 s and 438 MB of CPU
    time and memory. Libraries that this process has loaded already stay as they are.
    """
    hidden = [name for name in ("torch", "transformers", "stanza") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # documented: importing it then raises ImportError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
