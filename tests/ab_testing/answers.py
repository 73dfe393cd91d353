"""What a statistic answered: its numbers, or the reason why there are none."""

from typing import TypeVar

from contracts.experiment_verdicts import NotComputable, NotComputableReason

Found = TypeVar("Found")


def computed(answer: Found | NotComputable | None) -> Found:
    """The numbers, which must be there."""
    assert answer is not None
    assert not isinstance(answer, NotComputable)
    return answer


def reason(answer: object) -> NotComputableReason:
    """Why there are none."""
    assert isinstance(answer, NotComputable)
    return answer.reason
