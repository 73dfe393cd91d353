"""What masking did to a dataset: counts, and examples in which every value is already gone."""

from collections import Counter
from collections.abc import Sequence

from contracts.record import Record
from data_prep.masking.masker import MaskedTexts

EXAMPLES_OF_A_KIND = 5
_AROUND = 24


class MaskingReport(Record):
    """The masking of a dataset or a file. Holds no value that was masked."""

    rows: int = 0
    masked_rows: int = 0
    dropped_rows: int = 0
    replaced: dict[str, int] = {}
    """Replacements by kind."""
    kept: dict[str, int] = {}
    """What the policy left in the texts, by kind."""
    examples: dict[str, list[str]] = {}
    """The surroundings of some replacements, by kind: `…주민등록번호는 [주민등록번호]입니다.`"""


class MaskingTally:
    """Counts masked rows one after the other."""

    def __init__(self) -> None:
        self._rows = self._masked = self._dropped = 0
        self._replaced: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, masked: MaskedTexts) -> None:
        """Count one row."""
        self._rows += 1
        self._masked += any(masked.found)
        self._dropped += masked.drop is not None
        self._kept.update(datum.kind.value for datum in masked.kept)
        for text, found in zip(masked.texts, masked.found, strict=True):
            self._replaced.update(datum.kind.value for datum in found)
            # a text in which something was kept would show it
            if not masked.kept:
                self._show(text, sorted({datum.kind.value for datum in found}))

    def _show(self, text: str, kinds: Sequence[str]) -> None:
        for kind in kinds:
            examples = self._examples.setdefault(kind, [])
            if len(examples) >= EXAMPLES_OF_A_KIND:
                continue
            place = text.find(f"[{kind}")
            start, end = max(0, place - _AROUND), text.find("]", place) + 1 + _AROUND
            shown = ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
            shown = " ".join(shown.split())
            if shown not in examples:
                examples.append(shown)

    def report(self) -> MaskingReport:
        """The counts so far."""
        return MaskingReport(
            rows=self._rows,
            masked_rows=self._masked,
            dropped_rows=self._dropped,
            replaced=dict(sorted(self._replaced.items())),
            kept=dict(sorted(self._kept.items())),
            examples={kind: self._examples[kind] for kind in sorted(self._examples)},
        )
