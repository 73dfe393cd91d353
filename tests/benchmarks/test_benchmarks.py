"""Each benchmark measures what it says, on a scale at which the numbers mean nothing."""

import json
import shutil
import subprocess
import sys

import pytest

from benchmarks.router import BARS
from tests.conftest import REPOSITORY_ROOT


def run_tiny(name: str, *options: str):
    completed = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *(options or ["--tiny"])],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert completed.returncode == 0, completed.stderr
    row = next(line for line in completed.stderr.splitlines() if line.startswith("| "))
    return json.loads(completed.stdout), row


@pytest.mark.slow
def test_every_answer_that_went_through_the_router_is_counted_and_stored():
    result, row = run_tiny("router")

    assert result["answers_stored"] == result["routed_requests"] > 0
    (ours,) = result["measured"]
    assert ours["cpu_us"].keys() == {"2", "4"}
    assert (ours["failures"], ours["other_bodies"]) == (0, 0)
    assert ours["cpu_us_per_chunk"] > 0
    assert {bar["bar"] for bar in result["bars"]} == set(BARS)
    assert row.count("|") == 13


@pytest.mark.deep
@pytest.mark.slow
def test_a_soak_counts_every_row_and_what_the_router_holds():
    result, row = run_tiny("router_soak")

    assert result["requests"] >= 200
    assert (result["lost_rows"], result["failures"], result["other_bodies"]) == (0, 0, 0)
    assert result["open_files"]["end"] > 10
    assert row.count("|") == 7


@pytest.mark.slow
@pytest.mark.deep
def test_the_benchmark_for_gpus_runs_whole_with_a_toy_on_a_cpu():
    result, _ = run_tiny("training_speed", "--shape", "tiny", "--device", "cpu", "--methods", "lora")

    here, plain = result["runs"]
    assert (here["contestant"], plain["contestant"]) == ("training", "trl")
    for line in (here, plain):
        assert line["error"] is None
        assert line["tokens_per_second"] > 0
        assert line["customer_minutes"] > 0
        assert line["device"] == "cpu"


@pytest.mark.slow
@pytest.mark.deep
def test_the_command_line_measures_training_with_the_loss_of_plain_steps_of_trl():
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "bench", "train", "--quick", "--json"],
        cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ratios_to"] == "trl-float32"
    here, packed, plain = result["measured"]
    names = ("training", "training-packed", "trl-float32")
    assert (here["contestant"], packed["contestant"], plain["contestant"]) == names
    assert min(line["tokens_per_second"] for line in result["measured"]) > 0
    assert plain["largest_loss_difference"] < 1e-3
    assert plain["speed_ratio"] == plain["cpu_speed_ratio"] == 1


@pytest.mark.slow
@pytest.mark.deep
def test_a_model_server_is_measured_with_its_memory():
    result, _ = run_tiny("model_servers")

    (server,) = result["measured"]
    assert server["idle_mib"] > 10
    assert server["load"][0]["requests_per_second"] > 0


@pytest.mark.deep
@pytest.mark.slow
def test_the_command_line_measures_the_preparation_and_finds_what_was_planted_and_nothing_else():
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "bench", "data", "--rows", "300", "--json"],
        cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["rows"] == 300
    assert result["planted_copies"] > 0
    assert result["found_copies"] == 1
    assert result["wrong_copies"] == 0
    assert min(result["personal_data"].values()) == 1
    assert result["peak_mib"] > 0


@pytest.mark.slow
@pytest.mark.deep
def test_the_memory_foretold_is_within_a_tenth_of_what_was_counted():
    result, row = run_tiny("training_memory")

    assert len(result["runs"]) == 2
    assert result["largest_error"] <= 0.1
    assert all(run["counted_mb"] > 10 for run in result["runs"])
    assert row.count("|") == 12


@pytest.mark.slow
@pytest.mark.deep
def test_what_watching_costs_is_counted_in_every_thread_that_watches():
    result, _ = run_tiny("training_tracking")

    assert {"progress", "run-follower"} <= set(result["threads_cpu_seconds"])
    assert result["step_cpu_ms"] > result["tracking_cpu_ms_per_step"] > 0


@pytest.mark.deep
@pytest.mark.slow
def test_the_registry_is_filled_and_every_question_is_answered():
    result, row = run_tiny("registry")

    assert (result["case_scores"], result["listed"], result["compared_cases"]) == (800, 8, 300)
    assert row.startswith("| list of all versions | ")
    assert len(result["milliseconds"]) == 7


def test_planted_test_cases_are_found_in_training_rows(shared_data):
    result, _ = run_tiny("contamination")

    assert result["speed"]["rows"] == 2_000
    assert [found["copies"] for found in result["found"].values()] == [1, 1, 1]
    assert min(found["edited 10%"] for found in result["found"].values()) >= 0.95


@pytest.mark.slow
@pytest.mark.deep
def test_each_compression_is_measured_beside_its_parent():
    result, row = run_tiny("compression")

    assert [line["method"] for line in result["measured"]] == ["neurons", "distill"]
    for line in result["measured"]:
        assert 0 < line["size_ratio"] < 1
        assert [load["concurrency"] for load in line["loads"]] == result["concurrencies"]
        assert all(load["parent_tokens_per_second"] > 0 for load in line["loads"])
    assert row.startswith("| neurons |")


@pytest.mark.slow
def test_a_backup_in_which_little_changed_writes_little():
    result, row = run_tiny("backup")

    lines = {line["what"]: line for line in result["measured"]}
    assert lines.keys() == {"tar and openssl", "first", "every file read, a row added", "check", "restore"}
    assert 0 < lines["every file read, a row added"]["written_mb"] < 20
    assert row.count("|") == 5


@pytest.mark.deep
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
def test_every_page_is_opened_and_its_time_is_told():
    result, row = run_tiny("page_open", "--tiny", "--pages", "models,ab-tests")
    assert set(result["seconds"]) == {"models", "ab-tests"}
    assert all(0 < page["warm"] <= page["slowest_warm"] for page in result["seconds"].values())
    assert "warm" in row
