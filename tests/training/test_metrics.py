"""metrics.jsonl and progress.json."""

import itertools
import json
import math

from storage.job_folder import JobFolder
from training.metrics import MetricsFile, ProgressWriter, loss_curve, perplexity, read_metrics


def test_a_resumed_run_cuts_off_what_came_after_its_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = MetricsFile(path, resume_step=0)
    for step in (1, 2, 3):
        first.append({"step": step, "loss": 1.0 / step})
    first.close()
    with path.open("a") as stream:
        stream.write('{"step": 4, "lo')  # killed in the middle of a line
    again = MetricsFile(path, resume_step=2)
    again.append({"step": 3, "loss": 0.5})
    again.close()
    assert [(line["step"], line["loss"]) for line in read_metrics(path)] == [(1, 1.0), (2, 0.5), (3, 0.5)]


def test_a_long_curve_is_thinned_evenly_and_keeps_its_ends(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": step, "loss": float(step)}) + "\n" for step in range(1, 1001)))
    curve = loss_curve(path)
    assert len(curve) == 200
    assert (curve[0], curve[-1]) == ((1, 1.0), (1000, 1000.0))
    gaps = {later[0] - earlier[0] for earlier, later in itertools.pairwise(curve)}
    assert gaps <= {5, 6}


def test_validation_lines_are_no_part_of_the_loss_curve(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 1, "eval_loss": 3.0}\n')
    assert loss_curve(path) == [(1, 2.0)]


def test_perplexity_is_none_where_it_is_no_number():
    assert perplexity(None) is None
    assert perplexity(1e4) is None
    assert perplexity(0.5) == math.exp(0.5)


def test_progress_is_there_from_the_beginning_and_tells_the_end(tmp_path):
    folder = JobFolder(tmp_path)
    with ProgressWriter(folder, "starting") as progress:
        assert json.loads(folder.progress.read_text())["stage"] == "starting"
        progress.begin_steps(10, 20)
        progress.update(step=15, loss=0.25)
    written = json.loads(folder.progress.read_text())
    assert (written["stage"], written["step"], written["total_steps"], written["loss"]) == ("training", 15, 20, 0.25)
    assert written["eta_seconds"] >= 0
    assert written["memory_mb"] > 1
