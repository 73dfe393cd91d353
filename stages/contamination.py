"""Do a dataset version's training rows hold the cases of a suite? Looked at once, kept, and overridden with a reason only."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from contracts.contamination import ContaminationSettings, SoughtCase
from contracts.record import utc_now
from data_prep.contamination.checking import check_version_contamination
from stages.progress import LoggedProgress
from stages.suites import resolve_suite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.contamination import ContaminationReport, ContaminationRequest
    from contracts.evaluation import CaseResult, TestCase
    from data_prep.rows import OnProgress
    from stages.services import Services


def check_contamination(
    request: ContaminationRequest, services: Services, on_progress: OnProgress | None = None
) -> ContaminationReport:
    """The report; with a reason, its cases may count from now on. Safe to repeat."""
    suite = resolve_suite(request.suite, services)
    report = report_on(
        request.dataset_id,
        suite.name,
        [sought(case) for case in suite.cases],
        services,
        settings=request.settings,
        on_progress=on_progress,
    )
    if request.override_reason is not None and report.is_contaminated:
        report = override(report, request.override_reason, request.actor, services)
    return report


def report_on(
    dataset_id: int,
    suite_name: str,
    cases: Sequence[SoughtCase],
    services: Services,
    *,
    settings: ContaminationSettings | None = None,
    on_progress: OnProgress | None = None,
) -> ContaminationReport:
    """The stored report of exactly these rows, cases and settings, made now where there is none."""
    settings = settings or ContaminationSettings()
    content = json.dumps([case.model_dump(mode="json") for case in cases], ensure_ascii=False, sort_keys=True)
    sha256 = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    with services.unit_of_work() as uow:
        present = uow.contamination.find(dataset_id, sha256, settings)
        version = uow.datasets.get(dataset_id)
    if present is not None:
        return present
    report = check_version_contamination(
        version,
        cases,
        suite_name=suite_name,
        suite_sha256=sha256,
        settings=settings,
        on_progress=on_progress or LoggedProgress(),
    )
    with services.unit_of_work() as uow:
        return uow.contamination.add(report)


def override(report: ContaminationReport, reason: str, actor: str, services: Services) -> ContaminationReport:
    """Let the report's cases count, and write down who said so and why."""
    with services.unit_of_work() as uow:
        uow.audit.append(
            actor,
            "override_contamination",
            f"contamination report {report.report_id}",
            {
                "dataset": report.dataset_title,
                "suite": report.suite_name,
                "contaminated_cases": len(report.contaminated_cases),
                "reason": reason,
            },
        )
        return uow.contamination.override(report.report_id, reason=reason, by=actor, at=utc_now())


def sought(case: TestCase) -> SoughtCase:
    """What of a test case is looked for."""
    return SoughtCase(
        id=case.id,
        question=case.question,
        accepted_answers=case.accepted_answers,
        choices=case.choices,
        source_document=case.source_document,
    )


def sought_result(case: CaseResult) -> SoughtCase:
    """What of an answered case is looked for."""
    return SoughtCase(id=case.case_id, question=case.question, accepted_answers=case.accepted_answers)
