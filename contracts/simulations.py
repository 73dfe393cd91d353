"""What simulated experiments measure of the statistics that decide real ones."""

from enum import StrEnum

from contracts.record import Record


class BarKind(StrEnum):
    """Which side of the bar is good."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"


class ScenarioResult(Record):
    """One measured quantity of one kind of experiment, against what it must reach."""

    scenario: str
    measured: float
    standard_error: float
    """Of the simulation itself: how much `measured` moves with another seed."""
    bar: float
    bar_kind: BarKind
    is_met: bool
    experiments: int
    seed: int
    contrast: dict[str, float] = {}
    """The same quantity by other rules, on the same data."""

    @property
    def is_clearly_missed(self) -> bool:
        """The bar is missed by more than the simulation's own error explains."""
        return not self.is_met and abs(self.measured - self.bar) > 3 * self.standard_error
