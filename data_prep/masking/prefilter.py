"""One pass over a text that says which recognisers can find anything in it."""

from collections.abc import Sequence
from typing import Any

from data_prep.masking.recogniser import KoreanRecogniser


class Prefilter:
    """The gates of all recognisers as one automaton: texts without personal data cost one pass over their bytes."""

    def __init__(self, recognisers: Sequence[KoreanRecogniser]) -> None:
        import re2

        self._recognisers = tuple(recognisers)
        self._set: Any = re2.Set.SearchSet()
        self._owner: list[int] = []
        for number, recogniser in enumerate(recognisers):
            for gate in recogniser.gates:
                self._set.Add(gate)
                self._owner.append(number)
        self._set.Compile()

    def open_for(self, shadow: str) -> list[KoreanRecogniser]:
        """The recognisers that must read the text, in their order."""
        passed = self._set.Match(shadow)
        if not passed:
            return []
        owners = sorted({self._owner[gate] for gate in passed})
        return [self._recognisers[owner] for owner in owners]
