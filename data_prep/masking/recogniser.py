"""The form of a recogniser: patterns that propose, judgements that decide, and Presidio's interface around them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from presidio_analyzer import AnalysisExplanation, LocalRecognizer, RecognizerResult

from contracts.enums import PersonalDataKind
from data_prep.masking.labels import Label, Meaning, label_before

LANGUAGE = "ko"
"""The language under which Presidio knows our recognisers."""

FLAGS = re.ASCII | re.IGNORECASE

NOT_INSIDE = r"(?<![0-9])(?<![0-9][-.])"
"""Before a number: not inside a longer one. Hangul may touch it, as particles and nouns do."""
NOT_GOING_ON = r"(?![0-9])(?![-.][0-9])"
"""After a number."""
LONG_NUMBER = r"[0-9*#](?:[^0-9\n]{0,3}?[0-9*xX#ㅇ]){6}"
"""Seven digits, or signs that hide them, with at most three other characters between two of them."""


class Candidate:
    """A stretch of text that has the form of an identifier."""

    def __init__(self, text: str, match: re.Match[str]) -> None:
        self.text = text
        self.match = match
        self.start, self.end = match.span("value" if "value" in match.re.groupindex else 0)

    @cached_property
    def value(self) -> str:
        """The stretch itself."""
        return self.text[self.start : self.end]

    @cached_property
    def digits(self) -> str:
        """Its digits alone."""
        return "".join(character for character in self.value if "0" <= character <= "9")

    @cached_property
    def label(self) -> Label | None:
        """The nearest label before it. A bank's short name counts only right before it."""
        found = label_before(self.text, self.start)
        if found is not None and found.meaning is Meaning.BANK and not found.is_adjacent:
            return label_before(self.text, self.start, frozenset({Meaning.BANK}))
        return found

    def is_labelled(self, *meanings: Meaning) -> bool:
        """The nearest label is one of these."""
        return self.label is not None and self.label.meaning in meanings

    def is_closely_labelled(self, *meanings: Meaning) -> bool:
        """The nearest label is one of these and stands hardly more than a particle away."""
        return self.is_labelled(*meanings) and self.label is not None and self.label.is_close

    @cached_property
    def is_a_code(self) -> bool:
        """A label close before it names another kind of number (`접수번호`, `ISBN`)."""
        return self.label is not None and self.label.is_close and self.label.names_a_number

    @cached_property
    def is_an_account(self) -> bool:
        """A bank or an account is named right before it."""
        return self.label is not None and self.label.is_close and self.label.names_an_account

    def before(self, characters: int) -> str:
        """What stands before it."""
        return self.text[max(0, self.start - characters) : self.start]

    def after(self, characters: int) -> str:
        """What stands behind it."""
        return self.text[self.end : self.end + characters]

    @cached_property
    def latin_before(self) -> str:
        """The Latin letters that touch it on the left, in lower case."""
        found = _LATIN_BEFORE.search(self.text, max(0, self.start - 12), self.start)
        return "" if found is None else found[0].lower()


_AROUND_CORE = 40
_LATIN_BEFORE = re.compile(r"[A-Za-z_]+$")


@dataclass(frozen=True, slots=True)
class Find:
    """Personal data in a text."""

    kind: PersonalDataKind
    start: int
    end: int
    score: float


Judgement = Callable[[Candidate], Find | None]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write an identifier."""

    pattern: re.Pattern[str]
    judge: Judgement


def form(pattern: str, judge: Judgement) -> Form:
    """The form with this pattern."""
    return Form(re.compile(pattern, FLAGS), judge)


class Windows:
    """The stretches of a text in which forms can stand: they need not walk through the rest.

    Look-behinds see what lies before a window.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._known: dict[re.Pattern[str], list[tuple[int, int]]] = {}

    def around(self, core: re.Pattern[str] | None) -> list[tuple[int, int]]:
        """Start and end of the windows around each core; the whole text without one."""
        if core is None:
            return [(0, len(self._text))]
        windows = self._known.get(core)
        if windows is None:
            windows = self._known[core] = []
            for match in core.finditer(self._text):
                begin, end = max(0, match.start() - _AROUND_CORE), match.end() + _AROUND_CORE
                if windows and begin <= windows[-1][1]:
                    windows[-1] = windows[-1][0], end
                else:
                    windows.append((begin, end))
        return windows


class KoreanRecogniser(LocalRecognizer):  # type: ignore[misc]  # Presidio is imported untyped
    """Forms of one family of identifiers.

    `gates` are RE2 patterns of which one occurs in every text in which the recogniser finds anything. Every find
    touches a stretch of the form of `core`, and reaches at most 40 characters beyond it; empty: it may have any form.
    """

    def __init__(
        self,
        name: str,
        kinds: Sequence[PersonalDataKind],
        gates: Sequence[str],
        forms: Sequence[Form],
        core: str = LONG_NUMBER,
    ) -> None:
        super().__init__(
            supported_entities=[kind.name for kind in kinds],
            supported_language=LANGUAGE,
            name=name,
            country_code="kr",
        )
        self.kinds = tuple(kinds)
        self.gates = tuple(gates)
        self.forms = tuple(forms)
        self._core = re.compile(core) if core else None

    def load(self) -> None:
        """Nothing to load."""

    def finds(self, text: str, windows: "Windows | None" = None) -> Iterator[Find]:
        """What is found in a shadow. Recognisers that read the same one share its windows."""
        for begin, end in (windows or Windows(text)).around(self._core):
            for one in self.forms:
                for match in one.pattern.finditer(text, begin, end):
                    found = one.judge(Candidate(text, match))
                    if found is not None:
                        yield found

    def analyze(self, text: str, entities: Sequence[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Presidio's way of asking."""
        return [
            RecognizerResult(
                found.kind.name,
                found.start,
                found.end,
                found.score,
                analysis_explanation=AnalysisExplanation(recognizer=self.name, original_score=found.score),
                recognition_metadata={
                    RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
                    RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
                },
            )
            for found in self.finds(text)
            if not entities or found.kind.name in entities
        ]
