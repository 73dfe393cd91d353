"""Text that says the same again and again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.enums import RemovalReason
from data_prep.quality.wording import LONGEST_UNIT, SHORTEST_RUN, Wording, read_wording
from data_prep.removal import Removal
from data_prep.rows import Row

MAX_RUNS = 0.5
"""More than half of the answer is one unit said again at once."""
MAX_REPEATED_PHRASES = 0.8
"""FineWeb2 takes 0.2 to 0.37 for Korean web pages, but the articles of a regulation rightly share their phrases:
eight of one form reach 0.64."""

_RUN = re.compile(rf"(.{{1,{LONGEST_UNIT}}}?)\1{{3,}}", re.DOTALL)


def share_of_runs(text: str) -> float:
    """Share of the characters in units of up to 20 that stand four times or more in a row, less the first time."""
    squeezed = "".join(text.split())
    runs = sum(len(found[0]) - len(found[1]) for found in _RUN.finditer(squeezed) if len(found[0]) >= SHORTEST_RUN)
    return runs / len(squeezed) if squeezed else 0.0


@dataclass(frozen=True, slots=True)
class Repetition:
    """Shares of an answer that only say again what stands before, each 0 to 1."""

    runs: float
    phrases: float
    """Of characters in three-word phrases that the text holds more than once, less the first time: after the duplicate
    n-grams of the Gopher rules, as datatrove has them."""

    @property
    def greater(self) -> float:
        """The graver of the two."""
        return max(self.runs, self.phrases)


def measure_repetition(texts: Sequence[str], wording: Wording | None = None) -> list[Repetition]:
    """Both shares of each text of a batch; `wording` is theirs where it has been read already."""
    read = wording or read_wording(texts)
    return [
        Repetition(
            runs=share_of_runs(text) if may_run else 0.0,
            phrases=repeated / characters if repeated else 0.0,
        )
        for text, repeated, characters, may_run in zip(
            texts, read.repeated_characters, read.characters, read.may_hold_runs, strict=True
        )
    ]


def check_repetition(row: Row) -> Removal | None:
    """Only the answer counts: a user may well repeat a question."""
    return judge_repetition(measure_repetition([row.answer])[0])


def judge_repetition(found: Repetition) -> Removal | None:
    """The verdict on what was measured."""
    if found.runs > MAX_RUNS:
        return Removal(RemovalReason.REPETITION, f"{found.runs:.0%} of the answer is one unit again and again")
    if found.phrases > MAX_REPEATED_PHRASES:
        return Removal(RemovalReason.REPETITION, f"{found.phrases:.0%} of the answer has been said before")
    return None
