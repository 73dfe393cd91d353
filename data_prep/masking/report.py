"""What masking did to a dataset or a file: counts, and examples in which every value is already gone."""

from collections import Counter

from contracts.record import Record
from data_prep.masking.masker import MaskedTexts

EXAMPLES_OF_A_KIND = 5
_AROUND = 24


class MaskingReport(Record):
    """The masking of a dataset or a file. Holds no value that was masked."""

    rows: int = 0
    masked_rows: int = 0
    dropped_rows: int = 0
    """Taken out because the policy says so."""
    replaced: dict[str, int] = {}
    """Replacements by kind."""
    kept: dict[str, int] = {}
    """What the policy left in the texts, by kind."""
    examples: dict[str, list[str]] = {}
    """The surroundings of some replacements, by kind: `…주민등록번호는 [주민등록번호]입니다.`"""


class MaskingExamples:
    """The surroundings of the first replacements of each kind."""

    def __init__(self) -> None:
        self._examples: dict[str, list[str]] = {}

    def wants(self, kind: str) -> bool:
        """There are too few of this kind so far."""
        return len(self._examples.get(kind, ())) < EXAMPLES_OF_A_KIND

    def add(self, kind: str, text: str) -> None:
        """Note the first place in a masked text that has this kind; nothing where there is none."""
        place = text.find(f"[{kind}")
        if place < 0 or not self.wants(kind):
            return
        examples = self._examples.setdefault(kind, [])
        start, end = max(0, place - _AROUND), text.find("]", place) + 1 + _AROUND
        shown = ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
        shown = " ".join(shown.split())
        if shown not in examples:
            examples.append(shown)

    def by_kind(self) -> dict[str, list[str]]:
        """Those noted so far."""
        return {kind: self._examples[kind] for kind in sorted(self._examples)}


class MaskingTally:
    """Counts masked rows one after the other."""

    def __init__(self) -> None:
        self._rows = self._masked = self._dropped = 0
        self._replaced: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()
        self._examples = MaskingExamples()

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
                for kind in sorted({datum.kind.value for datum in found}):
                    self._examples.add(kind, text)

    def report(self) -> MaskingReport:
        """The counts so far."""
        return MaskingReport(
            rows=self._rows,
            masked_rows=self._masked,
            dropped_rows=self._dropped,
            replaced=dict(sorted(self._replaced.items())),
            kept=dict(sorted(self._kept.items())),
            examples=self._examples.by_kind(),
        )
