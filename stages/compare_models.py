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
    from database.repositories.model_results import PairedCases
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
    suites = _on_suites(results[0], results[1], uow, shown)
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


def _on_suites(
    reference: list[SuiteResult], other: list[SuiteResult], uow: UnitOfWork, shown: int
) -> list[SuiteComparison]:
    """The newest results under the same conditions; where there are none, what the newest ones differ in."""
    names = {result.conditions.suite_name for result in reference} & {result.conditions.suite_name for result in other}
    chosen = {name: _newest_pair(name, reference, other) for name in sorted(names)}
    with_cases = {
        one.result_id: two.result_id
        for one, two in chosen.values()
        if _key(one) == _key(two) and one.kind is not SuiteKind.PERPLEXITY
    }
    cases = uow.model_results.paired(with_cases, shown)
    return [_on_suite(name, one, two, cases.get(one.result_id)) for name, (one, two) in chosen.items()]


def _key(result: SuiteResult) -> str:
    return result.conditions.comparison_key


def _newest_pair(name: str, reference: list[SuiteResult], other: list[SuiteResult]) -> tuple[SuiteResult, SuiteResult]:
    first, second = (
        {_key(result): result for result in found if result.conditions.suite_name == name}
        for found in (reference, other)
    )
    pairs = [(first[key], second[key]) for key in first.keys() & second.keys()]
    if pairs:
        return max(pairs, key=lambda pair: pair[0].result_id + pair[1].result_id)
    one, two = (max(found.values(), key=lambda result: result.result_id) for found in (first, second))
    return one, two


def _on_suite(name: str, one: SuiteResult, two: SuiteResult, cases: PairedCases | None) -> SuiteComparison:
    if _key(one) != _key(two):
        before, after = (result.conditions.model_dump(mode="json") for result in (one, two))
        return SuiteComparison(suite=name, source="suite", differing=list(_differences(before, after)))
    compared = SuiteComparison(
        suite=name,
        source="suite",
        differing=[],
        scores=_paired_scores(one.scores, two.scores),
        suite_version=one.conditions.suite_version,
    )
    if cases is None:
        return compared
    won, lost = cases.counts.get((False, True), 0), cases.counts.get((True, False), 0)
    counts = PairedCounts(
        both_right=cases.counts.get((True, True), 0),
        won=won,
        lost=lost,
        both_wrong=cases.counts.get((False, False), 0),
        reworded=cases.reworded,
        mcnemar_p=mcnemar_exact(won, lost),
    )
    return compared.model_copy(
        update={
            "counts": counts,
            "won": cases.won,
            "lost": cases.lost,
            "reference_id": one.result_id,
            "other_id": two.result_id,
        }
    )


def _paired_scores(reference: list[ScoreEstimate], other: list[ScoreEstimate]) -> list[PairedScore]:
    by_name = {score.name: score for score in other}
    return [
        PairedScore(name=score.name, reference=score, other=by_name[score.name])
        for score in reference
        if score.name in by_name
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
            compared = _with_cases(compared, before, after, shown).model_copy(
                update={"reference_id": reference.evaluation_id, "other_id": other.evaluation_id}
            )
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
