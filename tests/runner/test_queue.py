"""The rule of the queue: who is next, who may go ahead meanwhile, and that everybody gets a turn."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.enums import Priority, WaitReason
from runner.queue import PROMOTION, CardUse, Holding, WaitingJob, decide, in_order, used_card_seconds

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


def job(key, cards=1, *, priority="normal", project="a", minutes_ago=0.0, seconds=None):
    return WaitingJob(key, cards, Priority(priority), project, NOW - timedelta(minutes=minutes_ago), seconds)


def running(cards, seconds=None, *, is_serving=False):
    return Holding(cards, None if seconds is None else NOW + timedelta(seconds=seconds), is_serving)


def keys(jobs):
    return [found.key for found in jobs]


def test_priority_goes_before_use_and_use_before_arrival():
    waiting = [
        job("first", minutes_ago=30, project="busy"),
        job("second", minutes_ago=20, project="idle"),
        job("high", minutes_ago=1, project="busy", priority="high"),
        job("low", minutes_ago=60, project="idle", priority="low"),
    ]
    assert keys(in_order(waiting, {"busy": 100.0}, NOW)) == ["high", "second", "first", "low"]


def test_projects_of_equal_use_take_turns():
    waiting = [job("a1", minutes_ago=4), job("a2", minutes_ago=3), job("b1", minutes_ago=2, project="b")]
    assert keys(in_order(waiting, {}, NOW)) == ["a1", "b1", "a2"]


def test_a_job_rises_by_a_class_for_each_promotion_it_waits():
    hours = PROMOTION / timedelta(minutes=1)
    waiting = [job("high", priority="high", minutes_ago=1), job("low", priority="low", minutes_ago=2 * hours + 2)]
    assert keys(in_order(waiting, {}, NOW)) == ["low", "high"]
    waiting = [job("high", priority="high", minutes_ago=1), job("low", priority="low", minutes_ago=hours)]
    assert keys(in_order(waiting, {}, NOW)) == ["high", "low"]


def test_use_is_counted_in_the_window_only():
    hour = timedelta(hours=1)
    uses = [
        CardUse("a", 2, NOW - 3 * hour, NOW - 2 * hour),
        CardUse("a", 1, NOW - hour, None),
        CardUse("b", 1, NOW - 200 * hour, NOW - 190 * hour),
    ]
    assert used_card_seconds(uses, NOW) == {"a": 3 * 3600.0}


def test_two_one_card_jobs_start_and_the_third_waits_for_the_first_to_end():
    decision = decide([job("1", seconds=600), job("2", seconds=300), job("3")], [], 2, {}, NOW)
    assert decision.start == ("1", "2")
    place = decision.places["3"]
    assert (place.position, place.waiting, place.reason) == (1, 1, WaitReason.CARDS)
    assert place.expected_start_at == NOW + timedelta(seconds=300)


def test_a_job_without_cards_waits_for_nobody_and_nobody_for_it():
    large, watching = job("large", 2, minutes_ago=9), job("watching", 0)
    decision = decide([large, watching], [running(1)], 2, {}, NOW)
    assert decision.start == ("watching",)
    assert decision.places["large"].waiting == 1


def test_a_two_card_job_keeps_its_place_and_only_a_job_that_ends_before_it_goes_ahead():
    large = job("large", 2, minutes_ago=9)
    long, short = job("long", seconds=601, minutes_ago=5), job("short", seconds=600)
    decision = decide([large, long, short], [running(1, 600)], 2, {}, NOW)
    assert decision.start == ("short",)
    assert decision.places["large"].expected_start_at == NOW + timedelta(seconds=600)
    assert decision.places["long"].reason is WaitReason.TURN
    assert decide([large, long], [running(1, 600)], 2, {}, NOW).places["long"].reason is WaitReason.TURN


@pytest.mark.parametrize("unknown", ["the running job's end", "the other's length"])
def test_nobody_goes_ahead_on_a_guess(unknown):
    held = running(1, None if unknown == "the running job's end" else 600)
    other = job("other", seconds=None if unknown == "the other's length" else 60)
    decision = decide([job("large", 2, minutes_ago=9), other], [held], 2, {}, NOW)
    assert decision.start == ()


def test_cards_that_the_first_job_will_not_need_may_be_taken():
    decision = decide([job("large", 2, minutes_ago=9), job("1"), job("2")], [running(2, 60), running(1)], 4, {}, NOW)
    assert decision.start == ("1",)  # of two cards at the end of the running job, one card beside the large job's two


def test_a_job_that_a_model_server_keeps_out_stops_nobody_else():
    decision = decide([job("large", 2, minutes_ago=9), job("small")], [running(1, is_serving=True)], 2, {}, NOW)
    assert decision.start == ("small",)
    assert decision.places["large"].reason is WaitReason.SERVING
    assert decision.places["large"].expected_start_at is None


jobs = st.builds(
    lambda number, cards, priority, project, ago, seconds: WaitingJob(
        str(number), cards, priority, project, NOW - timedelta(seconds=ago), seconds
    ),
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.sampled_from(Priority),
    st.sampled_from("abc"),
    st.integers(0, 100_000),
    st.none() | st.floats(1, 1e5),
)
holdings = st.builds(
    lambda cards, seconds, serving: running(cards, seconds, is_serving=serving),
    st.integers(1, 2),
    st.none() | st.floats(-100, 1e5),
    st.booleans(),
)


@given(st.lists(jobs, max_size=8, unique_by=lambda found: found.key), st.lists(holdings, max_size=3), st.integers(0, 2))
def test_cards_are_never_given_twice_and_every_job_starts_or_has_a_place(waiting, held, spare):
    total = sum(holding.cards for holding in held) + spare
    decision = decide(waiting, held, total, {"a": 5.0}, NOW)
    cards = {found.key: found.cards for found in waiting}
    assert sum(cards[key] for key in decision.start) <= spare
    assert sorted([*decision.start, *decision.places]) == sorted(cards)
    assert sorted(place.position for place in decision.places.values()) == list(range(1, len(decision.places) + 1))
    assert all(place.expected_start_at is None or place.expected_start_at >= NOW for place in decision.places.values())


@given(st.lists(jobs, min_size=1, max_size=8, unique_by=lambda found: found.key), st.integers(4, 6))
def test_an_idle_host_never_waits(waiting, total):
    assert decide(waiting, [], total, {}, NOW).start


LONGEST = 3600.0
CARDS = 2


class QueueMachine(RuleBasedStateMachine):
    """A host of two cards over days: jobs arrive, run as long as they said or shorter, and end.

    A model of the world that knows nothing of the rule: who waits, who runs, and how long everybody has waited.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.waiting: dict[str, tuple[WaitingJob, float]] = {}
        self.running: dict[str, tuple[WaitingJob, datetime]] = {}
        self.uses: list[CardUse] = []
        self.number = 0

    @rule(
        cards=st.integers(1, CARDS),
        priority=st.sampled_from(Priority),
        project=st.sampled_from("abc"),
        seconds=st.floats(60, LONGEST),
        known=st.booleans(),
    )
    def arrive(self, cards, priority, project, seconds, known):
        key = f"{self.number:04}"
        self.number += 1
        planned = WaitingJob(key, cards, priority, project, self.now, seconds if known else None)
        self.waiting[key] = (planned, seconds)

    @rule(seconds=st.floats(1, 2 * LONGEST))
    def time_passes(self, seconds):
        until = self.now + timedelta(seconds=seconds)
        while True:
            self.make_pass()
            ends = [ends_at for _, ends_at in self.running.values()]
            if not ends or min(ends) > until:
                break
            self.now = min(ends)
            for key in [key for key, (_, ends_at) in self.running.items() if ends_at <= self.now]:
                ended, _ = self.running.pop(key)
                self.uses.append(CardUse(ended.project, ended.cards, self.now, self.now))
        self.now = until

    def make_pass(self):
        holdings = [
            Holding(planned.cards, ends_at if planned.expected_seconds is not None else None)
            for planned, ends_at in self.running.values()
        ]
        decision = decide(
            [planned for planned, _ in self.waiting.values()],
            holdings,
            CARDS,
            used_card_seconds(self.uses, self.now),
            self.now,
        )
        for key in decision.start:
            planned, seconds = self.waiting.pop(key)
            self.running[key] = (planned, self.now + timedelta(seconds=seconds))

    @precondition(lambda self: self.running)
    @invariant()
    def no_card_has_two_holders(self):
        assert sum(planned.cards for planned, _ in self.running.values()) <= CARDS

    @invariant()
    def nobody_starves(self):
        for planned, _ in self.waiting.values():
            # once overdue, only earlier arrivals are before it, each of which runs for LONGEST at most
            before = sum(other.queued_at <= planned.queued_at for other, _ in self.waiting.values())
            bound = 3 * PROMOTION + timedelta(seconds=LONGEST * (before + self.earlier(planned) + CARDS))
            assert self.now - planned.queued_at <= bound

    def earlier(self, planned):
        return sum(int(key) < int(planned.key) for key in map(str, range(self.number)))


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=40, stateful_step_count=40)


def test_a_low_two_card_job_is_served_in_an_endless_stream_of_high_one_card_jobs():
    now, waiting = NOW, [job("large", 2, priority="low")]
    held: list[tuple[int, datetime]] = []
    for number in range(10_000):
        held = [(cards, ends_at) for cards, ends_at in held if ends_at > now]
        stream = [
            WaitingJob(f"s{number}-{index}", 1, Priority.HIGH, f"p{number}-{index}", now, 1500.0) for index in range(2)
        ]
        decision = decide([*waiting, *stream], [Holding(*holding) for holding in held], CARDS, {}, now)
        if "large" in decision.start:
            break
        held += [(1, now + timedelta(seconds=1500)) for _ in decision.start]
        now += timedelta(seconds=600)
    # two classes of promotion, the step to overdue, and the jobs that run then
    assert now - NOW <= 3 * PROMOTION + timedelta(seconds=1500 + 600)
