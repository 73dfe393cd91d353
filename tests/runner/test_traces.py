"""The spans of a runner and of a launcher, as their site's collector gets them."""

import signal
import sys

import pytest

from contracts.enums import JobState, StageName
from contracts.errors import NotFoundError
from runner import launcher
from stages.tracing import SpanPlace, answering, place_of_stage
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from storage.job_state import job_view
from storage.log_lines import log_context
from tests.collector import attributes, collecting
from tests.runner.conftest import submission


@pytest.fixture
def collector():
    with collecting() as collector:
        yield collector


def test_an_attempt_is_told_below_its_stage_of_the_run(services, collector, monkeypatch):
    monkeypatch.setenv("TUNEWAY_TRACES_URL", collector.url)
    made = submission(owner="finetune_pipeline/run-1/train/1")
    folder = JobFolder(services.settings.jobs_dir / made.job_key)
    write_json_atomically(folder.submission, made.model_dump(mode="json"))
    monkeypatch.setattr(launcher, "command_of", lambda *_: [sys.executable, "-c", "raise SystemExit(3)"])
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        assert launcher.main([str(folder.root), "1"]) == 0
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
    assert job_view(folder).state is JobState.LOST
    span = collector.wait_for(1)["job train"]
    stage = place_of_stage("finetune_pipeline/run-1", StageName.TRAIN)
    assert (int.from_bytes(span.trace_id), int.from_bytes(span.parent_span_id)) == (stage.trace, stage.span)
    assert "vanished" in span.status.message
    assert (attributes(span)["tuneway.job"], attributes(span)["tuneway.attempt"]) == ("train-1", 1)


@pytest.mark.slow
def test_a_call_that_another_service_passes_on_is_below_its_own(collector, monkeypatch, request):
    monkeypatch.setenv("TUNEWAY_TRACES_URL", collector.url)
    runner = request.getfixturevalue("runner")
    with log_context(request_id="a" * 32), answering(SpanPlace(5, 6)), pytest.raises(NotFoundError):
        runner.client.stop("train-99", 1)
    span = collector.wait_for(1)["POST /jobs/{job_key}/stop"]
    assert (int.from_bytes(span.trace_id), int.from_bytes(span.parent_span_id)) == (5, 6)
    assert attributes(span)["tuneway.request_id"] == "a" * 32
    assert collector.services() == {"tuneway-runner"}
