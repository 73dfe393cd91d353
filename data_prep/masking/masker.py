"""Personal data in rows found, and replaced as the policy says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from contracts.data_policy import MaskingPolicy
from contracts.enums import MaskingAction, PersonalDataKind
from contracts.errors import InvalidRequestError
from data_prep.masking.engine import engine
from data_prep.masking.names import FoundName, find_names, occurrences
from data_prep.masking.pseudonyms import canonical, pseudonym
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
        return [[text.replaced_data() for text in row.texts] for row in self._work_through(rows)]

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
        return [self._masked(row) for row in self._work_through(rows)]

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

    def _work_through(self, rows: Sequence[Sequence[str]]) -> list["_Row"]:
        work = [_Row([_Text(text) for text in texts]) for texts in rows]
        pending = work
        for _ in range(_MAX_ROUNDS):
            if not pending:
                break
            found = self._find_once(pending)
            pending = [row for row, finds in zip(pending, found, strict=True) if self._replace(row, finds)]
        return work

    def _replace(self, row: "_Row", found: Sequence[Sequence[PersonalDatum]]) -> bool:
        """Replace what was found in the present texts; says whether anything was."""
        changed = False
        for text, data in zip(row.texts, found, strict=True):
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

    def _find_once(self, rows: Sequence["_Row"]) -> list[list[list[PersonalDatum]]]:
        """What stands in the present texts of the rows, by row and text."""
        present = engine(representative_numbers=self.policy.representative_numbers)
        shadows = [[shadow_of(text.current) for text in row.texts] for row in rows]
        identifiers: list[list[list[PersonalDatum]]] = []
        blotted: list[str] = []
        for of_row in shadows:
            finds_of_row = []
            for one in of_row:
                finds = [
                    PersonalDatum(found.kind, found.start, found.end, found.score) for found in present.finds(one.text)
                ]
                if finds:
                    finds = without_overlaps([datum for datum in finds if self._counts(datum, one)])
                finds_of_row.append(finds)
                text = one.text
                for datum in finds:
                    text = text[: datum.start] + IDENTIFIED * (datum.end - datum.start) + text[datum.end :]
                blotted.append(text)
            identifiers.append(finds_of_row)
        named = iter([list(find_names(text)) for text in blotted])
        return [
            self._with_names(of_row, finds, [next(named) for _ in of_row])
            for of_row, finds in zip(shadows, identifiers, strict=True)
        ]

    def _with_names(
        self,
        shadows: Sequence[Shadow],
        identifiers: Sequence[list[PersonalDatum]],
        named: Sequence[Sequence[FoundName]],
    ) -> list[list[PersonalDatum]]:
        if any(named):
            persons: list[list[FoundName]] = [list(found) for found in named]
            names = {
                one.text[name.start : name.end] for one, found in zip(shadows, named, strict=True) for name in found
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
