"""What a person is known by: a telephone number, a resident number, a name, in any way of writing it."""

from __future__ import annotations

import hmac
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from contracts.enums import PersonalDataKind
from contracts.errors import InvalidRequestError
from data_prep.masking.masker import Masker
from data_prep.masking.pseudonyms import canonical, pseudonym

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARED = frozenset({PersonalDataKind.NAME, PersonalDataKind.ADDRESS, PersonalDataKind.IP_ADDRESS})
"""Kinds that several people have in common: a row that shows nothing else may be about another one."""

_SHORTEST, _SHORTEST_NAME = 6, 2
_HANGUL_NAME = re.compile(r"[가-힣]{2,5}")
_BETWEEN = r"(?:[\s\-./()~·_,:\x{2010}-\x{2015}\x{2212}\x{200B}]|\\[nrt])*"
"""What people put between digits; line ends as JSON writes them too."""
_AT = r"\s?(?:@|＠|[\(\[{<]\s?(?:at|골뱅이)\s?[\)\]}>]|골뱅이)\s?"
_NO_DIGIT_BEFORE, _NO_DIGIT_BEHIND = "(?:^|[^0-9０-９])", "(?:$|[^0-9０-９])"
_COVERED = 0.8


@dataclass(frozen=True)
class Identifier:
    """One value by which a person is known."""

    kind: PersonalDataKind
    value: str

    @property
    def is_shared(self) -> bool:
        """Others may have the same."""
        return self.kind in SHARED

    @cached_property
    def pattern(self) -> str:
        """RE2: every way of writing the value that the masking knows, in plain text and in JSON."""
        plain = canonical(self.kind, self.value)
        if self.kind is PersonalDataKind.EMAIL:
            local, _, domain = plain.partition("@")
            return f"(?i)(?:^|[^A-Za-z0-9._%+-]){re.escape(local)}{_AT}{re.escape(domain)}(?:$|[^A-Za-z0-9-])"
        if self.kind is PersonalDataKind.NAME:
            return "|".join(r"\s?".join(map(re.escape, form)) for form in _forms(plain))
        if self.kind is PersonalDataKind.ADDRESS:
            return "|".join(r"[\s,]*".join(map(re.escape, form)) for form in _forms(plain))
        if self.kind is PersonalDataKind.PHONE_NUMBER and plain.startswith("0"):
            begins = rf"(?:(?:\+|00)?{_BETWEEN}{_spaced('82')}{_BETWEEN}[0０]?|[0０])"
            return f"{_NO_DIGIT_BEFORE}{begins}{_BETWEEN}{_spaced(plain[1:])}{_NO_DIGIT_BEHIND}"
        return f"(?i){_NO_DIGIT_BEFORE}{_spaced(plain)}{_NO_DIGIT_BEHIND}"

    def tag(self, key: bytes) -> str:
        """32 hexadecimal digits that stand for the value where it may not: equal for equal values under one key."""
        told = f"{self.kind.code}\0{canonical(self.kind, self.value)}".encode()
        return hmac.digest(key, told, "sha256").hex()[:32]

    def pseudonym(self, key: bytes) -> str:
        """What the masking of a dataset with that key wrote in its place."""
        return pseudonym(self.kind, self.value, key)


def parse_identifiers(given: Sequence[str]) -> list[Identifier]:
    """The identifiers that a person typed, each `VALUE` or `KIND:VALUE`.

    Raises InvalidRequestError where a value is too short or its kind cannot be told; the value itself is not repeated.
    """
    found = [_parse(text.strip()) for text in given if text.strip()]
    if not found:
        raise InvalidRequestError(
            "Nobody is named",
            allowed="one or more of: telephone number, resident number, e-mail address, name, `KIND:VALUE`",
            next_step="give an identifier of the person",
        )
    return list(dict.fromkeys(found))


def _parse(text: str) -> Identifier:
    kind, value = _named_kind(text)
    if kind is None:
        kind = _told_kind(value)
    plain = canonical(kind, value)
    shortest = _SHORTEST_NAME if kind is PersonalDataKind.NAME else _SHORTEST
    if len(plain) < shortest:
        raise InvalidRequestError(
            "The identifier is too short to mean one person",
            value=f"{kind.value}, {len(plain)} characters",
            allowed=f"{shortest} characters or more",
            next_step="give it whole",
        )
    return Identifier(kind, value)


def _named_kind(text: str) -> tuple[PersonalDataKind | None, str]:
    name, separator, value = text.partition(":")
    if separator:
        for kind in PersonalDataKind:
            if name.strip().casefold() in {kind.value.casefold(), kind.code.casefold(), kind.name.casefold()}:
                return kind, value.strip()
    return None, text


def _told_kind(text: str) -> PersonalDataKind:
    found = Masker().find([text])[0]
    if len(found) == 1 and found[0].end - found[0].start >= _COVERED * len(text):
        return found[0].kind
    if _HANGUL_NAME.fullmatch(unicodedata.normalize("NFC", text)):
        return PersonalDataKind.NAME
    raise InvalidRequestError(
        "It cannot be told what kind of identifier this is",
        value=f"{len(text)} characters",
        allowed=", ".join(f"{kind.name.lower()} ({kind.value})" for kind in PersonalDataKind),
        next_step="say the kind: `account_number:…`, or in Korean `계좌번호:…`",
    )


def _forms(text: str) -> list[str]:
    """Composed and decomposed Hangul."""
    return list(dict.fromkeys([unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]))


def _spaced(plain: str) -> str:
    return _BETWEEN.join(
        f"[{character}{chr(ord(character) + 0xFEE0)}]"
        if character.isascii() and character.isdigit()
        else re.escape(character)
        for character in plain
    )
