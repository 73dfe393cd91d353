"""What a run tells its tracker, also when the tracker comes late."""

import json
import time

from contracts.errors import UnavailableError
from storage.job_folder import JobFolder
from training import tracking
from training.tracking import RunFollower


class Recorder:
    """A tracker of our own that can be away."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.steps: list[tuple[int, float]] = []
        self.params: list[dict[str, object]] = []
        self.artifacts: list[str] = []
        self.tags: dict[str, str] = {}
        self.status: str | None = None

    def start(self) -> str:
        if self.away > 0:
            self.away -= 1
            raise UnavailableError("MLflow does not answer")
        return "run-1"

    def log_params(self, params) -> None:
        self.params.append(dict(params))

    def set_tags(self, tags) -> None:
        self.tags = dict(tags)

    def log_metrics(self, step, metrics, timestamp=None) -> None:
        self.steps.append((step, metrics.get("loss", metrics.get("eval_loss"))))

    def log_artifact(self, path, folder=None) -> None:
        self.artifacts.append(path.name)

    def finish(self, status="FINISHED") -> bool:
        self.status = status
        return True


def write_lines(folder, *lines):
    with folder.metrics.open("a") as stream:
        for line in lines:
            stream.write(json.dumps({"timestamp": "2026-11-22T10:00:00+00:00", **line}) + "\n")


def test_every_line_is_sent_once_in_order(tmp_path):
    folder, tracker = JobFolder(tmp_path), Recorder()
    follower = RunFollower(tracker, folder, {"lora_rank": 8}, {"tuneway.torch": "2.13"})
    follower.start()
    write_lines(folder, {"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "eval_loss": 2.5})
    follower.finish("FINISHED", {tmp_path / "curve.png": "plots"})
    assert tracker.steps == [(1, 3.0), (2, 2.0), (2, 2.5)]
    assert tracker.params == [{"lora_rank": 8}]
    assert tracker.tags == {"tuneway.torch": "2.13"}
    assert (tracker.artifacts, tracker.status) == (["curve.png"], "FINISHED")


def test_a_tracker_that_is_away_at_first_gets_everything_later(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "RESTART_SECONDS", 0.01)
    folder, tracker = JobFolder(tmp_path), Recorder(away=2)
    follower = RunFollower(tracker, folder, {})
    write_lines(folder, {"step": 1, "loss": 3.0})
    follower.start()
    assert tracker.away == 1
    while not folder.tracking.exists():
        time.sleep(0.01)
    assert follower.run_id == "run-1"
    follower.finish("FINISHED", {})
    assert tracker.steps == [(1, 3.0)]


def test_a_tracker_that_stays_away_ends_nothing(tmp_path, caplog):
    folder, tracker = JobFolder(tmp_path), Recorder(away=1000)
    follower = RunFollower(tracker, folder, {})
    follower.start()
    write_lines(folder, {"step": 1, "loss": 3.0})
    follower.finish("FINISHED", {})
    assert tracker.status is None
    assert "not tracked yet" in caplog.text


def test_a_resumed_job_goes_on_with_its_run_and_sends_no_step_twice(tmp_path):
    folder, tracker = JobFolder(tmp_path), Recorder()
    first = RunFollower(tracker, folder, {})
    first.start()
    write_lines(folder, {"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0})
    first.finish("KILLED", {})
    second = RunFollower(tracker, folder, {})
    assert second.run_id == "run-1"
    second.start()
    write_lines(folder, {"step": 3, "loss": 1.0})
    second.finish("FINISHED", {})
    assert tracker.steps == [(1, 3.0), (2, 2.0), (3, 1.0)]
