"""Stage gate: an evaluation against the bar, the training data, and the version in production."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.evaluation import GateContamination, ProductionComparison
from evaluation.gate import decide_gate
from evaluation.production import Outcome, compare_with_production
from stages.contamination import override, report_on, sought_result
from stages.rating_tasks import licence_of

if TYPE_CHECKING:
    from contracts.evaluation import CaseResult, EvaluationReport, GateRequest, GateVerdict
    from contracts.models import ModelVersion
    from contracts.ratings import JudgeLicence
    from database.unit_of_work import UnitOfWork
    from stages.services import Services


def gate(request: GateRequest, services: Services) -> GateVerdict:
    """Decide, and record the verdict with the evaluation; the newest verdict counts."""
    with services.unit_of_work() as uow:
        report = uow.evaluations.get(request.evaluation_id)
        cases = uow.evaluations.cases(request.evaluation_id)
        dataset_id = uow.jobs.get(report.job_id).dataset_id
        production = _production(request, report, cases, uow)
    verdict = decide_gate(
        report,
        request,
        production=production,
        contamination=_contamination(request, report, dataset_id, cases, services),
        judge=_judge(report, services),
    )
    with services.unit_of_work() as uow:
        uow.evaluations.record_verdict(verdict)
    return verdict


def _contamination(
    request: GateRequest, report: EvaluationReport, dataset_id: int, cases: list[CaseResult], services: Services
) -> GateContamination | None:
    """What of the main suite was trained on; None for an evaluation whose answers were not kept."""
    if not cases:
        return None
    found = report_on(dataset_id, report.main.name, [sought_result(case) for case in cases], services)
    if found.is_contaminated and request.contamination_override is not None:
        found = override(found, request.contamination_override, request.actor, services)
    trained_on = set(found.contaminated_cases)
    clean = [case for case in cases if case.case_id not in trained_on]
    return GateContamination(
        report_id=found.report_id,
        contaminated=len(trained_on),
        n=len(clean),
        correct=sum(case.tuned_correct for case in clean),
        override_reason=found.override_reason,
    )


def _judge(report: EvaluationReport, services: Services) -> JudgeLicence | None:
    """May the judge that scored cases decide? None where no judge scored."""
    if report.judge is None or not report.judged_cases:
        return None
    return licence_of(report.judge, services)


def _production(
    request: GateRequest, report: EvaluationReport, cases: list[CaseResult], uow: UnitOfWork
) -> ProductionComparison | None:
    """The candidate beside the version in production; None where nothing is in production under that name."""
    version = None if request.model_name is None else uow.models.production(request.model_name)
    if version is None or version.finetuning_job_id == report.job_id:
        return None
    title = f"{version.model_name} v{version.version}"
    answers = _production_answers(version, report, uow)
    if not answers or not cases:
        return ProductionComparison(
            model_id=version.model_id,
            title=title,
            missing=f"{title}을(를) 같은 문항 ‘{report.main.name}’으로 평가한 결과가 없습니다. 먼저 평가해 두시기 바랍니다"
            f"(tuneway evaluate {version.model_name}@{version.version} --suite …).",
        )
    candidate = {case.case_id: Outcome(case.category, case.tuned_correct) for case in cases}
    return compare_with_production(
        version.model_id, title, answers, candidate, max_category_drop=request.max_category_drop
    )


def _production_answers(version: ModelVersion, report: EvaluationReport, uow: UnitOfWork) -> dict[str, bool]:
    """Which of the same cases, asked the same way, the version in production had right; empty where it never answered."""
    asked = {
        result.conditions.comparison_key
        for result in uow.suite_results.newest(job_id=report.job_id, suite_name=report.main.name)
    }
    for result in uow.model_results.newest(version.model_id, version.finetuning_job_id):
        if result.conditions.comparison_key in asked:
            return uow.suite_results.outcomes(result.result_id)
    if version.finetuning_job_id is None:
        return {}
    # evaluated before results of single models were kept
    for evaluation in uow.evaluations.for_job(version.finetuning_job_id):
        if evaluation.main.sha256 == report.main.sha256 and evaluation.backend is report.backend:
            return {case.case_id: case.tuned_correct for case in uow.evaluations.cases(evaluation.evaluation_id)}
    return {}
