"""Spans as the site's collector gets them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from contracts.enums import JobKind, StageName, StageStatus
from contracts.jobs import JobSubmission
from contracts.pipeline import PipelineRun, StageState
from serving_api.answer_traces import traced
from stages.call_log import CallLog
from stages.span_export import Tracer
from stages.tracing import parent_header, place_of_attempt, place_of_call, spans_of_run
from tests.collector import attributes, collecting
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
RUN = PipelineRun(
    run_id="manual__2026-11-28/a",
    dag_id="finetune_pipeline",
    request={},
    started_at=NOON,
    finished_at=NOON + timedelta(minutes=9),
    stages=[
        StageState(
            stage=StageName.PREPARE,
            status=StageStatus.SUCCEEDED,
            started_at=NOON,
            finished_at=NOON + timedelta(minutes=1),
        ),
        StageState(
            stage=StageName.TRAIN,
            status=StageStatus.FAILED,
            started_at=NOON + timedelta(minutes=1),
            finished_at=NOON + timedelta(minutes=9),
            error={"what": "The loss is not a number"},
        ),
        StageState(stage=StageName.REGISTER, status=StageStatus.SKIPPED),
    ],
)


@pytest.fixture
def collector():
    with collecting() as collector:
        yield collector


def number(value: bytes) -> int:
    return int.from_bytes(value)


def test_a_run_and_its_stages_are_one_trace_with_their_own_times(collector):
    tracer = Tracer(collector.url, "airflow")
    for span in spans_of_run(RUN):
        tracer.tell(span)
    tracer.flush()
    spans = collector.wait_for(3)
    assert set(spans) == {"finetune_pipeline", "prepare", "train"}
    assert collector.services() == {"tuneway-airflow"}
    run, train = spans["finetune_pipeline"], spans["train"]
    assert {span.trace_id for span in spans.values()} == {run.trace_id}
    assert (run.parent_span_id, train.parent_span_id) == (b"", run.span_id)
    assert train.start_time_unix_nano == int((NOON + timedelta(minutes=1)).timestamp()) * 10**9
    assert train.end_time_unix_nano - train.start_time_unix_nano == 480 * 10**9
    assert (train.status.message, run.status.message) == ("The loss is not a number", "failed at train")
    assert attributes(train)["tuneway.run_id"] == "finetune_pipeline/manual__2026-11-28/a"


@pytest.mark.parametrize(("dag", "run_id"), [("finetune_pipeline", "a/b"), ("evaluate_model", "evaluate_model/a/b")])
def test_a_job_of_a_run_finds_its_stage_whatever_process_tells_of_it(dag, run_id):
    run = RUN.model_copy(update={"dag_id": dag, "run_id": run_id})
    whole, _, stage = (span.place for span in spans_of_run(run))
    submission = JobSubmission(job_key="train-1", kind=JobKind.TRAIN, request={}, owner=f"{dag}/a/b/train/1", attempt=2)
    place = place_of_attempt(submission)
    assert (place.trace, place.parent) == (whole.trace, stage.span)
    assert place_of_attempt(submission) == place
    assert place_of_attempt(submission.model_copy(update={"attempt": 3})).span != place.span


@pytest.mark.parametrize("owner", ["", "lee", "one/slash"])
def test_a_job_that_no_run_handed_over_has_a_trace_of_its_own(owner):
    place = place_of_attempt(JobSubmission(job_key="train-1", kind=JobKind.TRAIN, request={}, owner=owner))
    assert place.parent is None


async def test_a_call_is_told_below_its_callers_and_the_path_of_its_route(collector):
    app, asked = FastAPI(), []
    app.add_middleware(CallLog, tracer=Tracer(collector.url, "serving-api"))

    @app.get("/things/{name}")
    def thing(name: str) -> dict[str, str]:
        asked.append(parent_header())
        return {"name": name}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await client.get("/things/a", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    span = collector.wait_for(1)["GET /things/{name}"]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == ("a" * 32, "b" * 16)
    assert asked == [{"traceparent": f"00-{'a' * 32}-{span.span_id.hex()}-01"}]
    assert attributes(span)["http.response.status_code"] == 200
    assert attributes(span)["url.path"] == "/things/a"
    assert parent_header() == {}


@pytest.mark.parametrize("parent", ["", "00-x-y-01", f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01"])
def test_without_a_callers_span_the_request_id_is_the_trace(parent):
    place = place_of_call("c" * 32, parent)
    assert (f"{place.trace:032x}", place.parent) == ("c" * 32, None)
    assert place_of_call("proxy-0001", parent).trace == place_of_call("proxy-0001", "").trace != 0


def test_of_the_answers_a_share_leaves_spans_and_every_failure(collector):
    stored: list[dict[str, object]] = []
    store = traced(lambda chunks: stored.extend(*chunks), Tracer(collector.url, "serving-api"), 0.1)
    whole = {
        "kind": "answer", "experiment_id": 7, "assigned_variant": "b", "variant": "b", "model_id": 3, "is_stream": True,
        "asked_at": NOON.timestamp(), "response_time_ms": 250, "first_token_ms": 40, "status": "complete", "query": "비밀",
    }  # fmt: skip
    events = [{**whole, "request_id": f"{n:032x}"} for n in range(1, 1001)]
    # a tester's answer counts in no arm
    events += [{**whole, "request_id": "e" * 32, "variant": None}]
    events += [
        {**whole, "request_id": "f" * 32, "variant": None, "status": "broken"},
        {"kind": "rating", "request_id": "f" * 32},
    ]
    store([events])
    assert stored == events
    collector.wait_for(50)
    spans = [span for _, span in collector.received]
    (failed,) = [span for span in spans if span.trace_id.hex() == "f" * 32]
    assert failed.status.message == "cut off"
    assert "e" * 32 not in [span.trace_id.hex() for span in spans]
    assert 50 < len(spans) < 200
    assert failed.end_time_unix_nano - failed.start_time_unix_nano == 250 * 10**6
    about = attributes(failed)
    assert (about["tuneway.arm"], about["tuneway.first_token_ms"], about["tuneway.status"]) == ("b", 40, "broken")
    assert "비밀" not in str(about)


def test_a_collector_that_is_away_costs_its_spans_only(caplog):
    tracer = Tracer(f"http://127.0.0.1:{free_port()}/v1/traces", "airflow")
    for span in spans_of_run(RUN):
        tracer.tell(span)
    tracer.flush()
    assert caplog.records == []


def test_without_a_collector_nothing_of_it_is_loaded():
    code = (
        "import sys; import runner.launcher, runner.api, serving_api.app, operators.run_ids; from settings import load_settings; "
        "from stages.tracing import open_tracer; assert open_tracer(load_settings(), 'runner') is None; "
        "print([name for name in sys.modules if name.startswith('opentelemetry.exporter')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
