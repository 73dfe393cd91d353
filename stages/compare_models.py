"""Model versions side by side: what may be compared is, and what may not says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import SuiteKind
from contracts.errors import InvalidRequestError, TunewayError
from contracts.model_comparison import (
    CaseChange,
    DatasetComparison,
    ModelComparison,
    ModelPair,
    PairedCounts,
    PairedScore,
    SuiteComparison,
    ValueDifference,
)
from contracts.suites import ScoreEstimate
from data_prep.versions.difference import diff
from evaluation.statistics import mcnemar_exact
from stages.dataset_versions import open_version
from stages.models import find_model

if TYPE_CHECKING:
    from pydantic import JsonValue

    from contracts.datasets import DatasetVersion
    from contracts.evaluation import Accuracy, CaseResult, EvaluationReport, SuiteReport
    from contracts.jobs import FinetuningJob
    from contracts.models import ModelVersion
    from contracts.suites import SuiteResult
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

SHOWN_CASES = 10


def compare_models(
    given: Sequence[str], services: Services, *, shown: int = SHOWN_CASES, with_rows: bool = True
) -> ModelComparison:
    """The first version beside each other one. `shown`: cases of each kind given with their answers.

    `with_rows` reads the rows of dataset versions that differ. Raises InvalidRequestError for fewer than two versions.
    """
    versions = [find_model(name, services) for name in given]
    if len({version.model_id for version in versions}) < max(2, len(versions)):
        raise InvalidRequestError(
            "A comparison needs two or more different model versions",
            value=", ".join(f"{version.model_name}@{version.version}" for version in versions),
            allowed="tuneway model compare NAME@1 NAME@2 [...]",
            next_step="see `tuneway model list`",
        )
    reference, *others = versions
    with services.unit_of_work() as uow:
        return ModelComparison(
            models=[uow.model_listings.get(version.model_id) for version in versions],
            pairs=[_pair(reference, other, uow, services, shown, with_rows=with_rows) for other in others],
        )


def _pair(
    reference: ModelVersion, other: ModelVersion, uow: UnitOfWork, services: Services, shown: int, *, with_rows: bool
) -> ModelPair:
    jobs = [_job(version, uow) for version in (reference, other)]
    results = [uow.model_results.newest(version.model_id, version.finetuning_job_id) for version in (reference, other)]
    of_reference, of_other = ({result.conditions.suite_name for result in found} for found in results)
    evaluations = [None if job is None else _newest_evaluation(job.job_id, uow) for job in jobs]
    suites = [_on_suite(name, results[0], results[1], uow, shown) for name in sorted(of_reference & of_other)]
    if evaluations[0] is not None and evaluations[1] is not None:
        suites += _by_evaluations(evaluations[0], evaluations[1], uow, shown)
    return ModelPair(
        reference=_title(reference),
        other=_title(other),
        suites=suites,
        only_reference=sorted(of_reference - of_other),
        only_other=sorted(of_other - of_reference),
        configuration=list(_differences(_configuration(reference, jobs[0]), _configuration(other, jobs[1]))),
        dataset=_datasets(jobs[0], jobs[1], uow, services, with_rows=with_rows),
    )


def _title(version: ModelVersion) -> str:
    return f"{version.model_name}@{version.version}"


def _job(version: ModelVersion, uow: UnitOfWork) -> FinetuningJob | None:
    return None if version.finetuning_job_id is None else uow.jobs.get(version.finetuning_job_id)


def _newest_evaluation(job_id: int, uow: UnitOfWork) -> EvaluationReport | None:
    judged = uow.evaluations.newest_judged(job_id)
    return judged[0] if judged is not None else uow.evaluations.latest_for_job(job_id)


def _on_suite(
    name: str, reference: list[SuiteResult], other: list[SuiteResult], uow: UnitOfWork, shown: int
) -> SuiteComparison:
    """The newest results under the same conditions; where there are none, what the newest ones differ in."""
    first = {result.conditions.comparison_key: result for result in reference if result.conditions.suite_name == name}
    second = {result.conditions.comparison_key: result for result in other if result.conditions.suite_name == name}
    shared = max(
        first.keys() & second.keys(), key=lambda key: first[key].result_id + second[key].result_id, default=None
    )
    if shared is None:
        newest = [max(found.values(), key=lambda result: result.result_id).conditions for found in (first, second)]
        differing = _differences(newest[0].model_dump(mode="json"), newest[1].model_dump(mode="json"))
        return SuiteComparison(suite=name, source="suite", differing=list(differing))
    one, two = first[shared], second[shared]
    compared = SuiteComparison(suite=name, source="suite", differing=[], scores=_paired_scores(one.scores, two.scores))
    if one.kind is SuiteKind.PERPLEXITY:
        return compared
    cases = uow.model_results.paired(one.result_id, two.result_id)
    counts = PairedCounts(
        both_right=cases.both_right,
        won=len(cases.won),
        lost=len(cases.lost),
        both_wrong=cases.both_wrong,
        reworded=cases.reworded,
        mcnemar_p=mcnemar_exact(len(cases.won), len(cases.lost)),
    )
    return compared.model_copy(
        update={
            "counts": counts,
            "won": _changes(one.result_id, two.result_id, cases.won[:shown], uow),
            "lost": _changes(one.result_id, two.result_id, cases.lost[:shown], uow),
        }
    )


def _paired_scores(reference: list[ScoreEstimate], other: list[ScoreEstimate]) -> list[PairedScore]:
    by_name = {score.name: score for score in other}
    return [
        PairedScore(name=score.name, reference=score, other=by_name[score.name])
        for score in reference
        if score.name in by_name
    ]


def _changes(first_id: int, second_id: int, case_ids: list[str], uow: UnitOfWork) -> list[CaseChange]:
    before, after = (
        {case.case_id: case for case in uow.suite_results.cases_named(result_id, case_ids)}
        for result_id in (first_id, second_id)
    )
    return [
        CaseChange(
            case_id=case_id,
            category=before[case_id].category,
            reference_answer=before[case_id].answer,
            other_answer=after[case_id].answer,
        )
        for case_id in case_ids
    ]


def _by_evaluations(
    reference: EvaluationReport, other: EvaluationReport, uow: UnitOfWork, shown: int
) -> Iterator[SuiteComparison]:
    """The suites of two jobs' evaluations; answers are kept of the main suite alone."""
    others = {suite.name: suite for suite in (other.main, *other.extras)}
    for suite in (reference.main, *reference.extras):
        same = others.get(suite.name)
        if same is None:
            continue
        differing = list(
            _differences(
                {"suite_sha256": suite.sha256, "cases": suite.tuned.n, "engine": reference.backend.value},
                {"suite_sha256": same.sha256, "cases": same.tuned.n, "engine": other.backend.value},
            )
        )
        if differing:
            yield SuiteComparison(suite=suite.name, source="evaluation", differing=differing)
            continue
        score = PairedScore(name="accuracy", reference=_estimate(suite.tuned), other=_estimate(same.tuned))
        compared = SuiteComparison(suite=suite.name, source="evaluation", differing=[], scores=[score])
        if _is_main(suite, reference) and _is_main(same, other):
            before, after = (uow.evaluations.cases(report.evaluation_id) for report in (reference, other))
            compared = _with_cases(compared, before, after, shown)
        yield compared


def _is_main(suite: SuiteReport, report: EvaluationReport) -> bool:
    return suite.name == report.main.name


def _estimate(accuracy: Accuracy) -> ScoreEstimate:
    return ScoreEstimate(name="accuracy", value=accuracy.accuracy, interval=accuracy.interval, n=accuracy.n)


def _with_cases(
    compared: SuiteComparison, before: list[CaseResult], after: list[CaseResult], shown: int
) -> SuiteComparison:
    by_id = {case.case_id: case for case in after}
    pairs = [(case, by_id[case.case_id]) for case in before if case.case_id in by_id]
    if not pairs:
        return compared
    won = [(one, two) for one, two in pairs if two.tuned_correct and not one.tuned_correct]
    lost = [(one, two) for one, two in pairs if one.tuned_correct and not two.tuned_correct]
    counts = PairedCounts(
        both_right=sum(one.tuned_correct and two.tuned_correct for one, two in pairs),
        won=len(won),
        lost=len(lost),
        both_wrong=sum(not one.tuned_correct and not two.tuned_correct for one, two in pairs),
        reworded=sum(
            one.tuned_correct == two.tuned_correct and one.tuned_answer != two.tuned_answer for one, two in pairs
        ),
        mcnemar_p=mcnemar_exact(len(won), len(lost)),
    )

    def told(changed: list[tuple[CaseResult, CaseResult]]) -> list[CaseChange]:
        return [
            CaseChange(
                case_id=one.case_id,
                category=one.category,
                reference_answer=one.tuned_answer,
                other_answer=two.tuned_answer,
            )
            for one, two in changed[:shown]
        ]

    return compared.model_copy(update={"counts": counts, "won": told(won), "lost": told(lost)})


def _configuration(version: ModelVersion, job: FinetuningJob | None) -> dict[str, JsonValue]:
    """What a version was made with, flat."""
    found: dict[str, JsonValue] = {"base_model": version.base_model, "model_format": version.model_format.value}
    if job is None:
        return found
    found["method"] = job.method.value
    settings = job.hyperparameters
    if job.report is not None:
        found["recipe"] = job.report.recipe
        settings = job.report.hyperparameters or settings
        if job.report.compression is not None:
            found["compression"] = job.report.compression.method.value
    return {**found, **dict(_flat(settings, "hyperparameters"))}


def _flat(value: JsonValue, name: str) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, Mapping):
        yield from chain.from_iterable(_flat(inner, f"{name}.{key}") for key, inner in value.items())
    else:
        yield name, value


def _differences(reference: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> Iterator[ValueDifference]:
    for name in dict.fromkeys((*reference, *other)):
        if reference.get(name) != other.get(name):
            yield ValueDifference(name=name, reference=reference.get(name), other=other.get(name))


def _datasets(
    reference: FinetuningJob | None,
    other: FinetuningJob | None,
    uow: UnitOfWork,
    services: Services,
    *,
    with_rows: bool,
) -> DatasetComparison | None:
    if reference is None or other is None:
        return None
    first, second = (uow.datasets.get(job.dataset_id) for job in (reference, other))
    compared = DatasetComparison(
        reference=f"{first.name} {first.version}",
        other=f"{second.name} {second.version}",
        is_same=first.content_hash == second.content_hash,
    )
    if compared.is_same:
        return compared.model_copy(update={"added": 0, "removed": 0, "changed": 0})
    if not with_rows:
        return compared.model_copy(update={"why_not": "not asked for"})
    if first.name != second.name:
        return compared.model_copy(update={"why_not": "two different datasets"})
    return _rows(compared, first, second, services)


def _rows(
    compared: DatasetComparison, first: DatasetVersion, second: DatasetVersion, services: Services
) -> DatasetComparison:
    try:
        before, after = (open_version(str(dataset.dataset_id), services) for dataset in (first, second))
        found = diff(before.name_dir, before.manifest, after.manifest, shown=0)
    except (TunewayError, OSError) as error:
        missing = next((path for path in (first.file_path, second.file_path) if not Path(path).is_dir()), None)
        return compared.model_copy(
            update={"why_not": f"the folder {missing} is gone" if missing is not None else str(error)}
        )
    return compared.model_copy(update={"added": found.added, "removed": found.removed, "changed": found.changed})
