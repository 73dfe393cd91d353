"""What each step of a preparation did."""

from collections import Counter
from collections.abc import Iterable

from contracts.enums import RemovalReason
from contracts.record import Record


class StepRecord(Record):
    """What one step did."""

    step: str
    rows_in: int
    rows_out: int
    changed: int = 0
    """Rows that were rewritten."""
    removed: dict[str, int] = {}
    """Rows taken out, by RemovalReason."""


def step(name: str, rows_in: int, removed: Iterable[RemovalReason] = (), changed: int = 0) -> StepRecord:
    """The record of a step that took these rows out."""
    reasons = Counter(reason.value for reason in removed)
    return StepRecord(
        step=name,
        rows_in=rows_in,
        rows_out=rows_in - reasons.total(),
        changed=changed,
        removed=dict(sorted(reasons.items())),
    )


def sum_steps(chunks: Iterable[Iterable[StepRecord]]) -> list[StepRecord]:
    """The same steps of several chunks as one list."""
    total: dict[str, StepRecord] = {}
    for steps in chunks:
        for one in steps:
            before = total.get(one.step, StepRecord(step=one.step, rows_in=0, rows_out=0))
            removed = Counter(before.removed) + Counter(one.removed)
            total[one.step] = StepRecord(
                step=one.step,
                rows_in=before.rows_in + one.rows_in,
                rows_out=before.rows_out + one.rows_out,
                changed=before.changed + one.changed,
                removed=dict(sorted(removed.items())),
            )
    return list(total.values())
