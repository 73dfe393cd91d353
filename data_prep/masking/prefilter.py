"""What says which recognisers can find anything in a text: its characters first, then the gates in one pass."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from data_prep.code_points import code_points
from data_prep.masking.shadow import unusual_trace
from data_prep.traces import Trace, Traces

if TYPE_CHECKING:  # Presidio comes with it, which takes seconds
    from data_prep.masking.recogniser import KoreanRecogniser

IDENTIFIER = Trace(
    characters="0123456789*#ㅇ@:앳엣",
    pairs=[
        *("뒤자", "뒷자", "뒷번", "뒤번", "공일", "영일", "골뱅", "xx", "xX", "Xx", "XX"),
        *("-r", "-R", "-g", "-G", "-d", "-D", "at", "aT", "At", "AT"),
        *(bracket + letter for bracket in "([{<" for letter in "aA"),
    ],
)
"""What every text shows that a gate of a recogniser lets through."""


@cache
def _traces() -> Traces:
    return Traces([unusual_trace(), IDENTIFIER], fillers=" \t\n\f\r")


def read_closely(texts: Sequence[str]) -> tuple[list[bool], list[bool]]:
    """Which texts may not be their own shadow, and which may hold an identifier if they are; of many, in one pass."""
    unusual, identifier = _traces().found(code_points(texts))
    return unusual.tolist(), identifier.tolist()


class Prefilter:
    """The gates of all recognisers as one automaton: texts without personal data cost one pass over their bytes."""

    def __init__(self, recognisers: "Sequence[KoreanRecogniser]") -> None:
        import re2

        self._recognisers = tuple(recognisers)
        self._set: Any = re2.Set.SearchSet()
        self._owner: list[int] = []
        for number, recogniser in enumerate(recognisers):
            for gate in recogniser.gates:
                self._set.Add(gate)
                self._owner.append(number)
        self._set.Compile()

    def open_for(self, shadow: str) -> "list[KoreanRecogniser]":
        """The recognisers that must read the text, in their order."""
        passed = self._set.Match(shadow)
        if not passed:
            return []
        owners = sorted({self._owner[gate] for gate in passed})
        return [self._recognisers[owner] for owner in owners]
