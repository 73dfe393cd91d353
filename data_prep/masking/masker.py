"""Personal data in rows found, and replaced as the policy says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from contracts.data_policy import MaskingPolicy
from contracts.enums import MaskingAction, PersonalDataKind
from contracts.errors import InvalidRequestError
from data_prep.masking.engine import engine
from data_prep.masking.names import FoundName, occurrences
from data_prep.masking.prefilter import read_closely
from data_prep.masking.pseudonyms import canonical, pseudonym
from data_prep.masking.running_text import name_finder
from data_prep.masking.shadow import Shadow, shadow_of

_MAX_ROUNDS = 12
"""A token may uncover what it hid (a number that touched another one); the second round finds nothing as a rule."""

IDENTIFIED = "\0"
"""Stands for an identifier while names are looked for: who has a telephone number is a person."""


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
    """What was replaced, in order, with the offsets of the given text; they never overlap."""


@dataclass(frozen=True, slots=True)
class MaskedTexts:
    """The texts of one row without their personal data."""

    texts: tuple[str, ...]
    found: tuple[tuple[PersonalDatum, ...], ...]
    """What was replaced in each text, in order, with the offsets of the given text; they never overlap."""
    kept: tuple[PersonalDatum, ...]
    """What the policy leaves in the texts."""
    drop: PersonalDataKind | None
    """The kind for which the policy takes out the row; its texts are masked all the same."""


class Masker:
    """Finds and replaces personal data under one policy.

    `key` is the secret of pseudonyms: the same value has the same pseudonym wherever the same key is used. Finding does
    without it.
    """

    def __init__(self, policy: MaskingPolicy | None = None, key: bytes = b"") -> None:
        self.policy = policy or MaskingPolicy()
        self._key = key
        self._find_names = name_finder(self.policy.name_model)
        self._public = {
            canonical(kind, value) for value in self.policy.public_values for kind in PersonalDataKind if value.strip()
        }

    def find(self, texts: Sequence[str]) -> list[list[PersonalDatum]]:
        """Personal data in texts that belong together (the turns of a row): a name found in one counts in all.

        Of each text in order, without overlaps, with the text's own offsets; without what the policy keeps.
        """
        return self.find_rows([texts])[0]

    def find_rows(self, rows: Sequence[Sequence[str]]) -> list[list[list[PersonalDatum]]]:
        """What `find` gives for each row: cheaper than one by one."""
        return [
            [[] for _ in texts] if row is None else [text.replaced_data() for text in row.texts]
            for texts, row in zip(rows, self._work_through(rows), strict=True)
        ]

    def mask(self, texts: Sequence[str]) -> MaskedTexts:
        """The texts of one row, each piece of personal data replaced. Masked texts stay as they are."""
        return self.mask_rows([texts])[0]

    def mask_rows(self, rows: Sequence[Sequence[str]]) -> list[MaskedTexts]:
        """The texts of many rows: cheaper than one by one. Pseudonyms need the key."""
        if not self._key and MaskingAction.PSEUDONYMISE in self.policy.actions.values():
            raise InvalidRequestError(
                "Pseudonyms need a secret key, and there is none",
                allowed="a key of 16 bytes or more, the same for all datasets whose pseudonyms are to agree",
                next_step="Give the key, or set the action `mask` in the policy file",
            )
        return [
            MaskedTexts(tuple(texts), ((),) * len(texts), (), None) if row is None else self._masked(row)
            for texts, row in zip(rows, self._work_through(rows), strict=True)
        ]

    def _masked(self, row: "_Row") -> MaskedTexts:
        actions = self.policy.actions
        found = tuple(tuple(text.replaced_data()) for text in row.texts)
        return MaskedTexts(
            texts=tuple(text.current for text in row.texts),
            found=found,
            kept=tuple(datum for text in row.texts for datum in text.kept),
            drop=next(
                (datum.kind for data in found for datum in data if actions.get(datum.kind) is MaskingAction.DROP_ROW),
                None,
            ),
        )

    def _work_through(self, rows: Sequence[Sequence[str]]) -> list["_Row | None"]:
        """The rows with what was replaced and kept in them; None where nothing was found."""
        work: list[_Row | None] = [None] * len(rows)
        pending = []
        for index, finds in self._find_once(rows):
            row = work[index] = _Row([_Text(text) for text in rows[index]])
            if self._replace(row, finds):
                pending.append(row)
        for _ in range(_MAX_ROUNDS - 1):
            if not pending:
                break
            found = dict(self._find_once([[text.current for text in row.texts] for row in pending]))
            pending = [row for index, row in enumerate(pending) if self._replace(row, found.get(index))]
        return work

    def _replace(self, row: "_Row", found: Sequence[Sequence[PersonalDatum]] | None) -> bool:
        """Replace what was found in the present texts; says whether anything was."""
        changed = False
        for text, data in zip(row.texts, found or [[]] * len(row.texts), strict=True):
            text.kept = []
            if not data:
                continue
            replacements: list[tuple[PersonalDatum, str]] = []
            for datum in data:
                if self.policy.actions.get(datum.kind) is MaskingAction.KEEP:
                    text.kept.append(text.in_original(datum))
                else:
                    value = text.current[datum.start : datum.end]
                    replacements.append((datum, self._replacement(datum.kind, value)))
            if replacements:
                text.replace(replacements)
                changed = True
        return changed

    def _replacement(self, kind: PersonalDataKind, value: str) -> str:
        if self.policy.actions.get(kind) is MaskingAction.PSEUDONYMISE:
            return pseudonym(kind, value, self._key)
        return kind.token

    def _find_once(self, rows: Sequence[Sequence[str]]) -> list[tuple[int, list[list[PersonalDatum]]]]:
        """What stands in the texts of the rows that hold anything: the row's number, and by text what was found."""
        texts = [text for row in rows for text in row]
        shadows, identifiers = self._identifiers(texts)
        blotted = [text if (one := shadows.get(place)) is None else one.text for place, text in enumerate(texts)]
        for place, finds in identifiers.items():
            for datum in finds:
                text = blotted[place]
                blotted[place] = text[: datum.start] + IDENTIFIED * (datum.end - datum.start) + text[datum.end :]
        named = self._find_names(blotted)
        found = []
        begin = 0
        for index, row in enumerate(rows):
            places = range(begin, begin + len(row))
            begin += len(row)
            if any(named[place] or identifiers.get(place) for place in places):
                read = [shadows.get(place) or Shadow(texts[place]) for place in places]
                data = [identifiers.get(place, []) for place in places]
                found.append((index, self._with_names(read, data, [named[place] for place in places])))
        return found

    def _identifiers(self, texts: Sequence[str]) -> tuple[dict[int, Shadow], dict[int, list[PersonalDatum]]]:
        """By the text's number: shadows that are not the text itself, and identifiers that were found in shadows."""
        shadows: dict[int, Shadow] = {}
        identifiers: dict[int, list[PersonalDatum]] = {}
        for place, (unusual, open_) in enumerate(zip(*read_closely(texts), strict=True)):
            if not (unusual or open_):
                continue
            present = engine(representative_numbers=self.policy.representative_numbers)
            one = shadow_of(texts[place])
            if unusual:
                shadows[place] = one
            data = [PersonalDatum(find.kind, find.start, find.end, find.score) for find in present.finds(one.text)]
            if data:
                identifiers[place] = without_overlaps([datum for datum in data if self._counts(datum, one)])
        return shadows, identifiers

    def _with_names(
        self,
        shadows: Sequence[Shadow],
        identifiers: Sequence[list[PersonalDatum]],
        named: Sequence[Sequence[FoundName]],
    ) -> list[list[PersonalDatum]]:
        if any(named):
            persons: list[list[FoundName]] = [list(found) for found in named]
            names = {
                one.text[name.start : name.end]
                for one, found in zip(shadows, named, strict=True)
                for name in found
                if name.spreads
            }
            for one, found in zip(shadows, persons, strict=True):
                for name in sorted(names):
                    if name in one.text:
                        found.extend(occurrences(name, one.text))
            identifiers = [
                without_overlaps(
                    [
                        *finds,
                        *(
                            datum
                            for name in found
                            if self._counts(
                                datum := PersonalDatum(PersonalDataKind.NAME, name.start, name.end, name.score), one
                            )
                        ),
                    ]
                )
                for one, finds, found in zip(shadows, identifiers, persons, strict=True)
            ]
        return [
            [PersonalDatum(datum.kind, *one.span(datum.start, datum.end), datum.score) for datum in finds]
            for one, finds in zip(shadows, identifiers, strict=True)
        ]

    def _counts(self, datum: PersonalDatum, one: Shadow) -> bool:
        if datum.score < self.policy.min_score:
            return False
        return not self._public or canonical(datum.kind, one.text[datum.start : datum.end]) not in self._public


def find_personal_data(texts: Sequence[str]) -> list[list[PersonalDatum]]:
    """Personal data in texts that belong together, under the policy that masks everything."""
    return _default_masker().find(texts)


def mask(texts: Sequence[str]) -> list[MaskedText]:
    """The texts with every piece of personal data replaced by its token, such as [전화번호]. Masked texts stay as they are."""
    masked = _default_masker().mask(texts)
    return [MaskedText(text, found) for text, found in zip(masked.texts, masked.found, strict=True)]


@lru_cache(maxsize=1)
def _default_masker() -> Masker:
    return Masker()


def without_overlaps(found: Sequence[PersonalDatum]) -> list[PersonalDatum]:
    """Of overlapping finds the surer one stays, then the longer one."""
    if len(found) < 2:
        return list(found)
    taken: list[PersonalDatum] = []
    for datum in sorted(found, key=lambda one: (-one.score, one.start - one.end, one.start, one.kind)):
        if all(datum.end <= other.start or datum.start >= other.end for other in taken):
            taken.append(datum)
    return sorted(taken, key=lambda one: one.start)


@dataclass(slots=True)
class _Piece:
    """A stretch of the original and what stands there instead."""

    datum: PersonalDatum
    replacement: str


@dataclass(slots=True)
class _Text:
    """A text on its way: the original, what was replaced in it, and how it reads."""

    original: str
    pieces: list[_Piece] = field(default_factory=list)
    current: str = ""
    kept: list[PersonalDatum] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.current = self.original

    def replaced_data(self) -> list[PersonalDatum]:
        return [piece.datum for piece in self.pieces]

    def in_original(self, datum: PersonalDatum) -> PersonalDatum:
        """The find with the offsets of the original. Nothing is found across a replacement."""
        shift = 0
        for piece in self.pieces:
            if piece.datum.start - shift >= datum.start:
                break
            shift += piece.datum.end - piece.datum.start - len(piece.replacement)
        return PersonalDatum(datum.kind, datum.start + shift, datum.end + shift, datum.score)

    def replace(self, replacements: Sequence[tuple[PersonalDatum, str]]) -> None:
        """Replace finds of the present text."""
        pieces = [_Piece(self.in_original(datum), replacement) for datum, replacement in replacements]
        self.pieces = sorted([*self.pieces, *pieces], key=lambda piece: piece.datum.start)
        parts, end = [], 0
        for piece in self.pieces:
            parts += [self.original[end : piece.datum.start], piece.replacement]
            end = piece.datum.end
        self.current = "".join([*parts, self.original[end:]])


@dataclass(slots=True)
class _Row:
    texts: list[_Text]
