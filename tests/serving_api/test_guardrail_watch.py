"""Which events make the monitor look at once."""

import pytest

from serving_api.guardrail_watch import EVERY_RUNNING, experiments_to_look_at


def answered(status: str, experiment_id: int | None = 7) -> dict[str, object]:
    return {"kind": "answer", "experiment_id": experiment_id, "status": status}


@pytest.mark.parametrize(
    ("event", "looked_at"),
    [
        (answered("failed"), {"7"}),
        (answered("broken"), {"7"}),
        (answered("complete"), set()),
        (answered("abandoned"), set()),
        (answered("failed", None), set()),
        ({"kind": "rating", "rating": 2}, {EVERY_RUNNING}),
        ({"kind": "rating", "rating": 3}, set()),
        ({"kind": "pin", "experiment_id": 7}, set()),
    ],
)
def test_errors_and_low_ratings_are_looked_at(event, looked_at):
    assert experiments_to_look_at([event]) == looked_at
