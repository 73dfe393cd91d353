"""Stage gate: the verdict is decided and recorded."""

from pathlib import Path

from contracts.enums import GateDecision, Metric
from contracts.evaluation import GateRequest
from stages.gate import gate
from stages.services import Services
from tests.evaluation.builders import report
from tests.stages.finished_job import finished_job


def _evaluation(services: Services, tmp_path: Path, tuned: int) -> int:
    for name in ("base", "adapter"):
        (tmp_path / name).mkdir()
    job = finished_job(services, base_model=tmp_path / "base", output=tmp_path / "adapter")
    with services.unit_of_work() as uow:
        example = report(tuned=tuned).model_copy(update={"job_id": job.job_id})
        return uow.evaluations.add(example, content_key="evaluate-1-abc").evaluation_id


def test_the_newest_verdict_counts(services, tmp_path):
    evaluation_id = _evaluation(services, tmp_path, tuned=187)
    first = gate(GateRequest(evaluation_id=evaluation_id, accuracy_bar=0.9), services)
    assert first.decision is GateDecision.PASS
    second = gate(GateRequest(evaluation_id=evaluation_id, metric=Metric.ACCURACY_LOWER_BOUND), services)
    assert second.decision is GateDecision.UNDECIDED
    with services.unit_of_work() as uow:
        assert uow.evaluations.verdict(evaluation_id) == second


def test_deciding_twice_gives_the_same_verdict(services, tmp_path):
    request = GateRequest(evaluation_id=_evaluation(services, tmp_path, tuned=100))
    assert gate(request, services) == gate(request, services)
