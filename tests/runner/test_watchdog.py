"""A hang is told from slowness by the process's own pace."""

from datetime import UTC, datetime, timedelta

from contracts.training import JobProgress
from runner.watchdog import UNPACED_SECONDS, Watchdog

BEGAN = datetime(2026, 11, 28, tzinfo=UTC)


class Trainer:
    """A watched process: its time passes a second at a look."""

    def __init__(self, floor: float) -> None:
        self.now = 0.0
        self.beats = 0
        self.dog = Watchdog(floor, self.now)

    def live(self, seconds: int, *, stage: str = "training", every: int = 0, silent: bool = False) -> str | None:
        """Let seconds pass with a piece of work `every` so many seconds (0: none); the first word of the watchdog."""
        for second in range(1, seconds + 1):
            self.now += 1
            if every and second % every == 0:
                self.beats += 1
            written = timedelta(seconds=0 if silent else self.now)
            progress = JobProgress(stage=stage, beats=self.beats, updated_at=BEGAN + written)
            if (said := self.dog.look(self.now, progress)) is not None:
                return said
        return None


def test_the_limit_is_ten_times_the_pace_that_nineteen_of_twenty_steps_keep():
    trainer = Trainer(floor=5)
    assert trainer.live(200, every=4) is None
    assert trainer.dog.limit_seconds == 40
    assert trainer.live(40) is None
    assert "no piece of work for 41 s (limit 40 s)" in (trainer.live(1) or "")


def test_a_step_that_is_slow_once_is_no_hang():
    trainer = Trainer(floor=60)
    trainer.live(30, every=1)
    assert trainer.live(60) is None
    assert trainer.live(30, every=1) is None


def test_a_process_without_a_sign_of_life_hangs_after_the_floor_whatever_its_stage():
    trainer = Trainer(floor=20)
    trainer.live(10, stage="saving")
    assert "no sign of life for 21 s" in (trainer.live(30, stage="saving", silent=True) or "")


def test_loading_and_saving_have_no_pace_and_more_time():
    trainer = Trainer(floor=5)
    trainer.live(20, every=1)
    assert trainer.live(int(UNPACED_SECONDS), stage="saving") is None
    assert trainer.live(2, stage="saving") is not None


def test_a_process_that_never_spoke_is_ended_at_last():
    dog = Watchdog(5, 0.0)
    looks = [dog.look(float(second), None) for second in range(1, int(UNPACED_SECONDS) + 2)]
    assert looks[:-1] == [None] * int(UNPACED_SECONDS)
    assert "no sign of life" in (looks[-1] or "")


def test_a_watchdog_that_slept_itself_blames_nobody():
    trainer = Trainer(floor=5)
    trainer.live(20, every=1)
    trainer.now += 3600
    assert trainer.live(5, silent=True) is None
    assert trainer.live(2, silent=True) is not None
