"""Stage gate: the verdict is decided and recorded."""

from pathlib import Path

from sqlalchemy import select

from contracts.enums import GateDecision, Metric, ModelFormat, ModelStatus, RatingKind
from contracts.evaluation import GateRequest
from database.models import AuditLog, ModelEvaluation
from evaluation.rating_items import rating_of
from stages.gate import gate
from stages.services import Services
from tests.evaluation.builders import report, results
from tests.evaluation.suite_results import case_scores, suite_result
from tests.evaluation.test_rating_items import pairwise_items, task
from tests.stages.finished_job import FinishedJob, finished_job


def _evaluation(services: Services, tmp_path: Path, tuned: int) -> int:
    for name in ("base", "adapter"):
        (tmp_path / name).mkdir()
    job = finished_job(services, base_model=tmp_path / "base", output=tmp_path / "adapter")
    with services.unit_of_work() as uow:
        example = report(tuned=tuned).model_copy(update={"job_id": job.job_id})
        return uow.evaluations.add(example, content_key="evaluate-1-abc").evaluation_id


def test_the_newest_verdict_counts(services, tmp_path):
    evaluation_id = _evaluation(services, tmp_path, tuned=186)
    first = gate(GateRequest(evaluation_id=evaluation_id, accuracy_bar=0.9), services)
    assert first.decision is GateDecision.PASS
    second = gate(GateRequest(evaluation_id=evaluation_id, metric=Metric.ACCURACY_LOWER_BOUND), services)
    assert second.decision is GateDecision.UNDECIDED
    with services.unit_of_work() as uow:
        assert uow.evaluations.verdict(evaluation_id) == second


def test_deciding_twice_gives_the_same_verdict(services, tmp_path):
    request = GateRequest(evaluation_id=_evaluation(services, tmp_path, tuned=100))
    assert gate(request, services) == gate(request, services)


def _answered(
    services: Services, tmp_path: Path, trained_on: int = 0, job_name: str = "regulations-1", tuned: int = 195
) -> tuple[FinishedJob, int]:
    """An evaluation with its answers, of a model that was trained on so many of its 200 questions."""
    cases = results(200, base=20, tuned=tuned)
    for name in ("base", "adapter"):
        (tmp_path / name).mkdir(exist_ok=True)
    asked = [(case.question, "5년입니다.") for case in cases[:trained_on]]
    job = finished_job(
        services,
        base_model=tmp_path / "base",
        output=tmp_path / "adapter",
        job_name=job_name,
        train_talks=[("하이패스 카드는 어디서 발급합니까?", "영업소입니다."), *asked],
    )
    example = report(tuned=tuned).model_copy(update={"job_id": job.job_id})
    with services.unit_of_work() as uow:
        stored = uow.evaluations.add(example, content_key=f"evaluate-{job.job_id}-abc", cases=cases)
    return job, stored.evaluation_id


def test_cases_that_were_trained_on_block_until_somebody_says_why_they_may_count(services, tmp_path):
    _, evaluation_id = _answered(services, tmp_path, trained_on=12)

    blocked = gate(GateRequest(evaluation_id=evaluation_id), services)
    allowed = gate(
        GateRequest(
            evaluation_id=evaluation_id, contamination_override="규정 원문을 그대로 묻는 문항입니다.", actor="kim"
        ),
        services,
    )
    again = gate(GateRequest(evaluation_id=evaluation_id), services)

    assert blocked.contamination is not None
    assert (blocked.decision, blocked.contamination.contaminated) == (GateDecision.UNDECIDED, 12)
    assert allowed.passed
    assert again == allowed
    with services.unit_of_work() as uow:
        entry = uow.session.execute(select(AuditLog)).scalar_one()
    assert (entry.actor, entry.action, entry.details["contaminated_cases"]) == ("kim", "override_contamination", 12)


def test_a_clean_suite_lets_the_numbers_decide(services, tmp_path):
    _, evaluation_id = _answered(services, tmp_path)

    verdict = gate(GateRequest(evaluation_id=evaluation_id), services)

    assert verdict.contamination is not None
    assert (verdict.passed, verdict.contamination.contaminated, verdict.contamination.n) == (True, 0, 200)


def _in_production(services: Services, tmp_path: Path, job: FinishedJob) -> None:
    with services.unit_of_work() as uow:
        uow.models.add(
            model_name="assistant",
            version=None,
            base_model="demo-base",
            base_model_path=str(tmp_path / "base"),
            finetuning_job_id=job.job_id,
            model_path=str(tmp_path / "adapter"),
            model_format=ModelFormat.LORA_ADAPTER,
            model_size_gb=0.1,
            status=ModelStatus.PRODUCTION,
            mlflow_model_uri=None,
            content_hash="a" * 64,
        )


def test_the_version_in_production_is_compared_case_by_case(services, tmp_path):
    production, _ = _answered(services, tmp_path, job_name="regulations-1", tuned=195)
    _, evaluation_id = _answered(services, tmp_path, job_name="regulations-2", tuned=185)
    _in_production(services, tmp_path, production)

    verdict = gate(GateRequest(evaluation_id=evaluation_id, model_name="assistant"), services)

    assert verdict.production is not None
    assert (verdict.production.title, verdict.production.n) == ("assistant v1", 200)
    assert (verdict.production.won_cases, len(verdict.production.lost_cases)) == ([], 10)
    assert verdict.decision is GateDecision.FAIL


def test_a_production_version_that_was_evaluated_by_itself_is_compared_too(services, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "adapter").mkdir()
    production = finished_job(services, base_model=tmp_path / "base", output=tmp_path / "adapter", job_name="old")
    _in_production(services, tmp_path, production)
    job, evaluation_id = _answered(services, tmp_path, job_name="new")
    right, wrong = case_scores([True] * 20), case_scores([True] * 8 + [False] * 12)
    with services.unit_of_work() as uow:
        model_id = uow.models.newest()[0].model_id
        of_production = suite_result(right, "b" * 64, suite="regulations")
        of_candidate = suite_result(wrong, "c" * 64, suite="regulations")
        uow.suite_results.add(
            of_production.model_copy(update={"model": of_production.model.model_copy(update={"model_id": model_id})}),
            right,
        )
        uow.suite_results.add(
            of_candidate.model_copy(update={"model": of_candidate.model.model_copy(update={"job_id": job.job_id})}),
            wrong,
        )
        cases = [case.model_copy(update={"case_id": f"c-{n:04d}"}) for n, case in enumerate(results(20, 0, 8))]
        uow.session.get(ModelEvaluation, evaluation_id).test_cases = [case.model_dump(mode="json") for case in cases]

    verdict = gate(GateRequest(evaluation_id=evaluation_id, model_name="assistant"), services)

    assert verdict.production is not None
    assert (verdict.production.n, verdict.production.production, verdict.production.candidate) == (20, 1.0, 0.4)
    assert verdict.decision is GateDecision.FAIL


def test_a_production_version_without_answers_to_the_suite_is_said_to_be_missing(services, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "adapter").mkdir()
    production = finished_job(services, base_model=tmp_path / "base", output=tmp_path / "adapter", job_name="old")
    _in_production(services, tmp_path, production)
    _, evaluation_id = _answered(services, tmp_path)

    verdict = gate(GateRequest(evaluation_id=evaluation_id, model_name="assistant"), services)

    assert verdict.passed
    assert verdict.production is not None
    assert "평가한 결과가 없습니다" in (verdict.production.missing or "")


def test_a_judge_that_was_never_compared_with_experts_decides_nothing(services, tmp_path):
    job, _ = _answered(services, tmp_path)
    judged = report(tuned=195).model_copy(
        update={"job_id": job.job_id, "judge": "judge:judge-32b:0123456789ab", "judged_cases": 40}
    )
    with services.unit_of_work() as uow:
        evaluation_id = uow.evaluations.add(judged, content_key="evaluate-judged").evaluation_id

    verdict = gate(GateRequest(evaluation_id=evaluation_id), services)

    assert (verdict.decision, verdict.judge_may_gate) == (GateDecision.UNDECIDED, False)


def test_a_judge_that_agrees_with_experts_decides(services, tmp_path):
    judge, items = (
        "judge:judge-32b:0123456789ab",
        [item.model_copy(update={"answer_b": None}) for item in pairwise_items(60)],
    )
    put_up = task(RatingKind.RUBRIC, items=60)
    with services.unit_of_work() as uow:
        uow.ratings.rate(
            [
                rating_of(put_up, item, "kim", "5" if number % 2 else "1").model_copy(update={"rater": rater})
                for number, item in enumerate(items)
                for rater in ("kim", judge)
            ]
        )
    job, _ = _answered(services, tmp_path)
    judged = report(tuned=195).model_copy(update={"job_id": job.job_id, "judge": judge, "judged_cases": 40})
    with services.unit_of_work() as uow:
        evaluation_id = uow.evaluations.add(judged, content_key="evaluate-judged").evaluation_id

    assert gate(GateRequest(evaluation_id=evaluation_id), services).passed
