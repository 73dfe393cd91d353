"""Which events make the monitor look at once."""

from collections import deque

import pytest

from serving_api.guardrail_watch import EVERY_RUNNING, GuardrailWatch, experiments_to_look_at
from serving_api.slow_answers import SlowAnswers, times_in


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


def answers(arm: str, milliseconds: list[int], experiment_id: int | None = 7) -> list[dict[str, object]]:
    return [
        {
            "kind": "answer",
            "experiment_id": experiment_id,
            "variant": arm,
            "status": "complete",
            "response_time_ms": each,
        }
        for each in milliseconds
    ]


def looked_at(slow: SlowAnswers, events: list[dict[str, object]]) -> set[str]:
    return slow.experiments_to_look_at([times_in(events)])


SPREAD = [80, 90, 100, 110, 120] * 8


def test_an_experiment_whose_b_seems_slower_is_looked_at_with_each_batch_of_b():
    slow = SlowAnswers(lambda _: "a")
    assert looked_at(slow, answers("a", SPREAD)) == set()
    assert looked_at(slow, answers("b", [130, 140] * 14)) == set(), "fewer than the guardrail takes"
    assert looked_at(slow, answers("b", [130, 140])) == {"7"}
    assert looked_at(slow, answers("a", SPREAD)) == set(), "nothing new of b"
    assert looked_at(slow, answers("b", [130, 140])) == {"7"}


@pytest.mark.parametrize(
    "times", [SPREAD, [each // 2 for each in SPREAD], [0] * 40, [each + 4 for each in SPREAD] * 50]
)
def test_one_whose_b_is_about_as_fast_or_faster_is_left_to_the_minutes_look(times):
    slow = SlowAnswers(lambda _: "a")
    assert looked_at(slow, answers("a", SPREAD) + answers("b", times)) == set()


def test_answers_outside_of_an_experiment_and_of_testers_count_for_nothing():
    slow = SlowAnswers(lambda _: "a")
    events = answers("a", SPREAD, None) + [{**event, "variant": None} for event in answers("b", [9000] * 40)]
    assert looked_at(slow, [*events, *answers("b", [9000])]) == set()


def test_the_process_that_looks_is_told_of_a_slow_b(monkeypatch):
    watch = GuardrailWatch(lambda _: "a")
    told: list[str] = []
    monkeypatch.setattr(watch, "_running", lambda: None)
    monkeypatch.setattr(watch, "_tell", told.append)
    store = watch.watched(lambda chunks: deque(chunks, 0).clear())
    store([answers("a", SPREAD)])
    store([answers("b", [each * 2 for each in SPREAD])])
    assert told == ["7"]
