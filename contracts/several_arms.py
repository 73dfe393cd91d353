"""Experiments with more than two arms: one control, and challengers that are each compared with it."""

from typing import Self

from pydantic import Field, model_validator

from contracts.experiment_verdicts import DecisionLook, DecisionPlan, ExperimentVerdict
from contracts.record import Record

MOST_CHALLENGERS = 9


class SeveralArmsPlan(Record):
    """How an experiment with several challengers decides, written down before it starts."""

    control: str = Field(default="a", min_length=1)
    challengers: list[str] = Field(min_length=1, max_length=MOST_CHALLENGERS)
    decision: DecisionPlan
    """Of the control and one challenger together; its error rate is that of all challengers together."""

    @model_validator(mode="after")
    def _arms_differ(self) -> Self:
        arms = [self.control, *self.challengers]
        if len(set(arms)) < len(arms):
            raise ValueError(f"arms are {', '.join(arms)}, must differ; for example control a, challengers b and c")
        return self


class ChallengerState(Record):
    """One challenger between two looks."""

    verdict: ExperimentVerdict = ExperimentVerdict.KEEP_GOING
    """BETTER_B: the challenger; BETTER_A: the control. All but the last end it."""
    harmful: bool = False
    """A guardrail or a person took it out. It gets no later verdict, and counts on among the questions that were asked."""
    smallest_p: float = Field(default=1.0, ge=0, le=1)
    """Of all looks so far, for this question alone; valid at any time."""
    leads: bool | None = None
    """At the look of the smallest p the challenger was ahead."""
    adjusted_p: float = Field(default=1.0, ge=0, le=1)
    """By Holm over all challengers: a winner at or below the plan's error rate."""
    latest: DecisionLook | None = None
    """Its bounds hold for all challengers at once (Bonferroni); the verdict may be sharper (Holm)."""

    @property
    def is_over(self) -> bool:
        """No later look changes it."""
        return self.harmful or self.verdict is not ExperimentVerdict.KEEP_GOING

    @property
    def is_dropped(self) -> bool:
        """It is shown to be worse, or does harm: its users belong to the others."""
        return self.harmful or self.verdict is ExperimentVerdict.BETTER_A


class SeveralArmsState(Record):
    """An experiment with several challengers between two looks."""

    plan: SeveralArmsPlan
    looks: int = 0
    challengers: dict[str, ChallengerState]

    @property
    def open(self) -> list[str]:
        """Challengers that are neither decided nor dropped."""
        return [name for name, state in self.challengers.items() if not state.is_over]

    @property
    def dropped(self) -> list[str]:
        """Challengers that get no more users."""
        return [name for name, state in self.challengers.items() if state.is_dropped]

    @property
    def is_decided(self) -> bool:
        """Every challenger is decided or dropped."""
        return not self.open

    @property
    def leader(self) -> str | None:
        """Of the challengers shown to be better than the control so far the one with the largest difference.

        That it is better than the other challengers is not shown. None where none is better; one that was taken out
        after its verdict leads nothing.
        """
        better = {
            name: abs(state.latest.difference)
            for name, state in self.challengers.items()
            if state.verdict is ExperimentVerdict.BETTER_B
            and not state.harmful
            and state.latest is not None
            and state.latest.difference is not None
        }
        return max(better, key=lambda name: better[name]) if better else None

    @property
    def winner(self) -> str | None:
        """The leader, once every challenger is decided or dropped."""
        return self.leader if self.is_decided else None


class SeveralArmsSize(Record):
    """How many values an experiment with several challengers needs."""

    challengers: int
    share_of_control: float
    samples_of_control: int
    samples_of_a_challenger: int
    samples_needed: int
    """Of all arms, looking once."""
    samples_needed_with_looks: int
    """Of all arms, when the verdict may come at any time."""
    planned_users: int
    """With looks, of the control and one challenger together: what the plan of a decision takes."""
    alpha_of_one: float
    """Error rate of one challenger's question."""
