"""Every text a page shows, in Korean and in English."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from contracts.words import (
    CASE_FAULTS,
    COMPRESSION_METHODS,
    PERSONAL_DATA_KINDS,
    PROTECTED_ATTRIBUTES,
    REMOVAL_REASONS,
    SCORER_EXPLANATIONS,
)

LOCALES = Path(__file__).with_name("locales")


class Language(StrEnum):
    """The languages of the dashboard."""

    KOREAN = "ko"
    ENGLISH = "en"

    @property
    def own_name(self) -> str:
        """The language's name as its readers write it; the same in every table."""
        return {Language.KOREAN: "한국어", Language.ENGLISH: "English"}[self]

    @property
    def other(self) -> Language:
        """The one that is a click away."""
        return Language.ENGLISH if self is Language.KOREAN else Language.KOREAN


@cache
def table(language: Language) -> dict[str, str]:
    """The language's texts by `section.key`: those of the pages and those that other programs say too."""
    sections = tomllib.loads((LOCALES / f"{language.value}.toml").read_text(encoding="utf-8"))
    own = {f"{section}.{key}": text for section, texts in sections.items() for key, text in texts.items()}
    shared = {
        f"{section_of(type(member))}.{member.value}": wording.of(language.value)
        for wordings in (REMOVAL_REASONS, PERSONAL_DATA_KINDS, PROTECTED_ATTRIBUTES, COMPRESSION_METHODS, CASE_FAULTS)
        for member, wording in wordings.items()
    }
    explained = {
        f"scorer_explanation.{name}": wording.of(language.value) for name, wording in SCORER_EXPLANATIONS.items()
    }
    return own | shared | explained


def translate(key: str, language: Language, **values: object) -> str:
    """The text of `section.key`, its placeholders filled in. A key that does not exist is a fault: KeyError."""
    text = table(language)[key]
    return text.format(**values) if values else text


@dataclass(frozen=True, slots=True)
class Words:
    """`translate` bound to the language of a page."""

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """The text of `section.key`."""
        return translate(key, self.language, **values)

    def of(self, member: StrEnum) -> str:
        """The word for a member of a closed set; its section is the set's name in snake case."""
        return translate(f"{section_of(type(member))}.{member.value}", self.language)

    def named(self, section: str, key: str) -> str:
        """The word for a key that another package may have added; the key itself where the section has none."""
        return table(self.language).get(f"{section}.{key}", key)


def section_of(closed_set: type[StrEnum]) -> str:
    """`StageStatus` to `stage_status`."""
    name = closed_set.__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
