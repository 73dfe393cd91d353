"""Stage replay_ab_test: the same questions to the present model of an A/B test and to a new one, compared in pairs, when traffic is thin.

What is asked and how it decides is written down first; the result is computed once, when everything is answered. It is
offline evidence beside the live result: nothing is promoted by it. Answers lie sealed in a journal until then, so that
a run that was killed asks nothing twice, and are deleted at the end.
"""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from contracts.enums import ReplayMeasure, ReplaySource, SuiteKind
from contracts.errors import ConflictError, InvalidRequestError
from contracts.evaluation import TestCase
from contracts.experiment_replays import FEWEST_UNITS, PairedReading, ReplayPlan, ReplayResult
from contracts.experiment_verdicts import ExperimentVerdict
from evaluation.asking import REFUSED, ask
from evaluation.judging.pairwise import DEFAULT_CRITERIA
from evaluation.paired_answers import AnsweredTwice, compare_by_judge, compare_by_rules
from stages.judge import JOURNAL_FILE
from stages.progress import LoggedProgress
from storage.journal import KeyedJournal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from contracts.experiment_replays import ABTestReplay, ReplayABTestRequest
    from contracts.experiments import ABExperiment
    from contracts.models import ArmEndpoint
    from data_prep.rows import OnProgress
    from database.unit_of_work import UnitOfWork
    from evaluation.asking import Answer
    from evaluation.paired_answers import JudgedAnswers
    from stages.recorded_text import RecordedText
    from stages.services import Services

ACTOR = "replay_ab_test"
ANSWERS_FILE = "answers.jsonl"
MOST_PER_USER = 5
"""Recorded questions taken of one user: the user is one unit, however many there are."""
MOST_EXCLUDED = 0.2
"""A judge that gives no verdict on more than this share of the questions decides nothing."""
MOST_REFUSED = 0.1
"""A server that refuses more than this share of the questions is at fault itself, as one that has lost the model."""
FORGOTTEN = "forgotten"
"""The question was deleted between the plan and the replay."""
_READ_FOR_ONE = 20
"""Recorded rows looked at for each question wanted: people repeat themselves and each other."""


@dataclass(frozen=True, slots=True)
class _Questions:
    """What is asked, and which unit each question belongs to."""

    source: ReplaySource
    name: str
    cases: list[TestCase]
    units: dict[str, str]
    """By case id."""


def replay_ab_test(
    request: ReplayABTestRequest, services: Services, on_progress: OnProgress | None = None
) -> ABTestReplay:
    """The replay with its result. The same request again, killed or not, is the same replay unless it says `again`.

    Raises ConflictError where a model is not deployed, there are too few questions, or another replay is there.
    """
    replay = _begun(request, services)
    if replay.result is None:
        result = _result(replay, services, on_progress or LoggedProgress())
        with services.unit_of_work() as uow:
            replay = uow.experiment_replays.finish(replay.replay_id, result)
            uow.audit.append(
                ACTOR,
                "experiment.replayed",
                f"experiment/{replay.experiment_id}",
                {"number": replay.number, "verdict": result.deciding.verdict.value},
            )
    with suppress(FileNotFoundError):
        shutil.rmtree(_folder(replay, services))
    return replay


def preview(request: ReplayABTestRequest, services: Services) -> ReplayPlan:
    """What would be asked, and what it could find; nothing is asked or kept. Raises as the replay does."""
    with services.unit_of_work() as uow:
        experiment = uow.experiments.get(request.experiment_id)
        request = _named(request, experiment)
        replays = _of_same_arm(request, experiment, uow)
        standing = _standing(request, replays)
        if standing is not None:
            return standing.plan
        endpoints = _endpoints(experiment, request, uow)
        return _plan(request, _alpha(experiment, replays), _questions(request, uow, services), endpoints)


def _begun(request: ReplayABTestRequest, services: Services) -> ABTestReplay:
    with services.unit_of_work() as uow:
        experiment = uow.experiments.get(request.experiment_id)
        request = _named(request, experiment)
        standing = _standing(request, _of_same_arm(request, experiment, uow))
        if standing is not None:
            return standing
        endpoints = _endpoints(experiment, request, uow)
        # opening and masking texts takes its time: before the lock
        questions = _questions(request, uow, services)
    with services.unit_of_work() as uow:
        uow.experiments.lock_starts()
        replays = _of_same_arm(request, experiment, uow)
        standing = _standing(request, replays)
        if standing is not None:
            return standing
        number = len(uow.experiment_replays.of_experiment(request.experiment_id)) + 1
        return uow.experiment_replays.begin(number, _plan(request, _alpha(experiment, replays), questions, endpoints))


def _named(request: ReplayABTestRequest, experiment: ABExperiment) -> ReplayABTestRequest:
    """The request with its challenger by name. Raises InvalidRequestError for an arm that is none."""
    arm = experiment.challengers[0] if request.challenger is None else experiment.arm(request.challenger)
    if arm == experiment.control:
        raise InvalidRequestError(
            "A replay compares a new model with the present one",
            value=f"{arm.name}, the present model",
            allowed=", ".join(each.name for each in experiment.challengers),
            next_step="name one of the new models",
        )
    return request.model_copy(update={"challenger": arm.name})


def _of_same_arm(request: ReplayABTestRequest, experiment: ABExperiment, uow: UnitOfWork) -> list[ABTestReplay]:
    """Earlier replays of the challenger, the newest first."""
    return [
        replay
        for replay in uow.experiment_replays.of_experiment(experiment.experiment_id)
        if _named(replay.plan.request, experiment).challenger == request.challenger
    ]


def _alpha(experiment: ABExperiment, before: Sequence[ABTestReplay]) -> float:
    """The chance of a false winner that the challenger's next replay may have."""
    from ab_testing.paired_comparison import alpha_of

    return alpha_of(len(before) + 1, len(experiment.challengers))


def _standing(request: ReplayABTestRequest, replays: Sequence[ABTestReplay]) -> ABTestReplay | None:
    """The replay that the request means; None where it begins one. Raises ConflictError where another is there."""
    if not replays:
        return None
    newest = replays[0]
    asked = newest.plan.request
    is_retried = bool(request.mark) and request.mark == asked.mark
    same = {"mark": asked.mark, "again": asked.again, "challenger": asked.challenger}
    is_same = request.model_copy(update=same) == asked
    if is_retried or (is_same and (newest.result is None or not request.again)):
        return newest
    if request.again:
        return None
    raise ConflictError(
        "The A/B test has a replay of another plan",
        value=f"replay {newest.number} with {asked.questions} questions"
        + ("" if newest.result is not None else ", not finished"),
        allowed="its result, which is valid once",
        next_step="ask for the same to go on or to read it, or say --again (in the API again) for another one, "
        "at a fifth of the error rate",
    )


def _plan(
    request: ReplayABTestRequest, alpha: float, questions: _Questions, endpoints: tuple[ArmEndpoint, ArmEndpoint]
) -> ReplayPlan:
    from ab_testing.paired_comparison import detectable_difference

    units = len(set(questions.units.values()))
    if units < FEWEST_UNITS:
        raise ConflictError(
            "There are too few questions for a replay",
            value=f"{len(questions.cases)} questions of {units} users or documents",
            allowed=f"at least {FEWEST_UNITS} users or documents",
            next_step="wait for more recorded questions, or name a suite or a file of test cases",
        )
    a, b = endpoints
    return ReplayPlan(
        request=request,
        source=questions.source,
        source_name=questions.name,
        served_a=a.served_model_name,
        served_b=b.served_model_name,
        question_ids=[case.id for case in questions.cases],
        units=units,
        decides=ReplayMeasure.RULES if request.judge_url is None else ReplayMeasure.JUDGE,
        alpha=alpha,
        detectable=detectable_difference(units, alpha),
    )


def _endpoints(
    experiment: ABExperiment, request: ReplayABTestRequest, uow: UnitOfWork
) -> tuple[ArmEndpoint, ArmEndpoint]:
    challenger = _named(request, experiment).challenger
    assert challenger is not None, "it has got its name"
    found = []
    for model_id in (experiment.control.model_id, experiment.arm(challenger).model_id):
        endpoint = uow.models.deployment(model_id)
        if endpoint is None:
            version = uow.models.get(model_id)
            raise ConflictError(
                "Only deployed models can be asked",
                value=f"model {model_id} ({version.model_name} {version.version}) is not deployed",
                allowed="an A/B test of two versions that answer",
                next_step=f"deploy it with `tuneway deploy model:{model_id}`",
            )
        found.append(endpoint)
    return found[0], found[1]


def _questions(request: ReplayABTestRequest, uow: UnitOfWork, services: Services) -> _Questions:
    """Those that a new replay asks."""
    if request.suite is not None:
        return _of_suite(request.suite, services, request.questions)
    if services.settings.recorded_text == "none":
        raise ConflictError(
            "Users' questions are not recorded here",
            value="TUNEWAY_RECORDED_TEXT is none",
            allowed="a suite or a file of test cases",
            next_step="name one with --suite (in the API suite)",
        )
    recorded = services.recorded_text
    known: set[str] = set()
    by_rank: list[dict[str, tuple[str, str]]] = [{} for _ in range(MOST_PER_USER)]
    of_user: Counter[str] = Counter()
    for row in uow.recorded_texts.newest_questions(request.questions * _READ_FOR_ONE):
        text, user = recorded.opened("query", row.request_id, row.query).strip(), row.user_key or row.request_id
        if not text or text in known or of_user[user] >= MOST_PER_USER:
            continue
        known.add(text)
        by_rank[of_user[user]][row.request_id] = text, user
        of_user[user] += 1
        if len(by_rank[0]) == request.questions:
            break
    # the newest of each user, then the second of each: as many users as there are
    chosen = dict(islice(chain.from_iterable(found.items() for found in by_rank), request.questions))
    return _recorded(chosen, recorded)


def _recorded(chosen: Mapping[str, tuple[str, str]], recorded: RecordedText) -> _Questions:
    """Of question and user by request_id."""
    texts = recorded.policy_applied([text for text, _ in chosen.values()])
    cases = [
        TestCase(id=request_id, question=text, scorer="rubric", options={"rubric": DEFAULT_CRITERIA})
        for request_id, text in zip(chosen, texts, strict=True)
    ]
    return _Questions(ReplaySource.RECORDED, "", cases, {key: user for key, (_, user) in chosen.items()})


def _of_suite(given: str, services: Services, most: int) -> _Questions:
    from stages.suites import resolve_suite

    suite = resolve_suite(given, services)
    if suite.kind is not SuiteKind.CASES:
        raise InvalidRequestError(
            "A replay asks test cases",
            value=f"{suite.name} is a suite of the kind {suite.kind.value}",
            allowed=SuiteKind.CASES.value,
            next_step="evaluate such a suite with `tuneway evaluate`",
        )
    cases = suite.cases[:most]
    name = suite.name if suite.version is None else f"{suite.name}@{suite.version}"
    return _Questions(ReplaySource.SUITE, name, cases, {case.id: case.source_document or case.id for case in cases})


def _planned(plan: ReplayPlan, uow: UnitOfWork, services: Services) -> _Questions:
    """The questions that were written down; those deleted since are not among them."""
    if plan.source is ReplaySource.SUITE:
        assert plan.request.suite is not None, "a suite was named"
        found = _of_suite(plan.request.suite, services, plan.request.questions)
        if [case.id for case in found.cases] != plan.question_ids:
            raise ConflictError(
                "The suite is not the one that the replay was planned with",
                value=plan.source_name,
                allowed="the same cases",
                next_step="name the version that it had, or plan another replay: --again",
            )
        return found
    recorded = services.recorded_text
    rows = {row.request_id: row for row in uow.recorded_texts.questions(plan.question_ids)}
    return _recorded(
        {
            key: (recorded.opened("query", key, rows[key].query).strip(), rows[key].user_key or key)
            for key in plan.question_ids
            if key in rows
        },
        recorded,
    )


def _result(replay: ABTestReplay, services: Services, on_progress: OnProgress) -> ReplayResult:
    plan = replay.plan
    with services.unit_of_work() as uow:
        experiment = uow.experiments.get(replay.experiment_id)
        a, b = _endpoints(experiment, plan.request, uow)
        questions = _planned(plan, uow, services)
    if (a.served_model_name, b.served_model_name) != (plan.served_a, plan.served_b):
        raise ConflictError(
            "The deployed models are not those that the replay was planned with",
            value=f"{a.served_model_name} and {b.served_model_name}",
            allowed=f"{plan.served_a} and {plan.served_b}",
            next_step="deploy those again, or plan another replay: --again",
        )
    with _journal(replay, ANSWERS_FILE, services) as journal:
        of_a = _answers(a, "A", questions.cases, plan.request, journal, on_progress)
        of_b = _answers(b, "B", questions.cases, plan.request, journal, on_progress)
    answered = [AnsweredTwice(*each) for each in zip(questions.cases, of_a, of_b, strict=True)]
    judged = _judged(answered, replay, services, on_progress)
    excluded = Counter({} if judged is None else judged.excluded)
    excluded[FORGOTTEN] = len(plan.question_ids) - len(answered)
    readings = [_reading(ReplayMeasure.RULES, compare_by_rules(answered), questions, plan)]
    if judged is not None:
        readings.insert(0, _reading(ReplayMeasure.JUDGE, judged.differences, questions, plan))
    return ReplayResult(
        readings=readings,
        judge=None if judged is None else judged.judge,
        judge_consistency=None if judged is None else judged.consistency,
        excluded=+excluded,
        unstable_a=sum(answer.is_unstable for answer in of_a),
        unstable_b=sum(answer.is_unstable for answer in of_b),
    )


def _answers(
    endpoint: ArmEndpoint,
    arm: str,
    cases: Sequence[TestCase],
    request: ReplayABTestRequest,
    journal: KeyedJournal,
    on_progress: OnProgress,
) -> list[Answer]:
    answers = ask(
        cases,
        endpoint_url=endpoint.base_url,
        model=endpoint.served_model_name,
        concurrency=request.concurrency,
        system_prompt=request.system_prompt,
        max_answer_tokens=request.max_answer_tokens,
        on_progress=lambda done, total: on_progress(f"asking model {arm}", done, total),
        journal=journal,
        keeps_refused=True,
    )
    refused = sum(answer.finish_reason == REFUSED for answer in answers)
    if refused > MOST_REFUSED * len(answers):
        raise ConflictError(
            f"The server of model {arm} refuses the questions",
            value=f"{refused} of {len(answers)} by {endpoint.served_model_name}",
            allowed="a server that answers nearly all of them; one that refuses a few loses these",
            next_step="look at the model server's log, then start the same replay again: answers are kept",
        )
    return answers


def _judged(
    answered: Sequence[AnsweredTwice], replay: ABTestReplay, services: Services, on_progress: OnProgress
) -> JudgedAnswers | None:
    request = replay.plan.request
    if request.judge_url is None or request.judge_model is None:
        return None
    from contracts.judging import JudgeEndpoint
    from stages.judge_endpoint import EndpointJudge

    endpoint = JudgeEndpoint(url=request.judge_url, model=request.judge_model)
    with _journal(replay, JOURNAL_FILE, services) as journal:
        return compare_by_judge(
            answered,
            endpoint,
            EndpointJudge(endpoint, services.settings),
            journal,
            lambda done, total: on_progress("asking the judge", done, total),
        )


def _reading(
    measure: ReplayMeasure, differences: Mapping[str, float], questions: _Questions, plan: ReplayPlan
) -> PairedReading:
    from ab_testing.paired_comparison import compare_pairs

    pairs = [(questions.units[key], difference) for key, difference in differences.items()]
    units = len({unit for unit, _ in pairs})
    found = compare_pairs(pairs, alpha=plan.alpha, margin=plan.request.margin) if units > 1 else None
    is_enough = len(pairs) >= (1 - MOST_EXCLUDED) * len(plan.question_ids)
    return PairedReading(
        measure=measure,
        pairs=len(pairs),
        units=units,
        wins_a=sum(difference < 0 for _, difference in pairs),
        wins_b=sum(difference > 0 for _, difference in pairs),
        ties=sum(difference == 0 for _, difference in pairs),
        difference=None if found is None else found.difference,
        bounds=None if found is None else found.bounds,
        p_value=None if found is None else found.p_value,
        verdict=found.verdict if found is not None and is_enough else ExperimentVerdict.INCONCLUSIVE,
    )


def _folder(replay: ABTestReplay, services: Services) -> Path:
    return services.settings.replays_dir / f"{replay.experiment_id}-{replay.number}"


def _journal(replay: ABTestReplay, name: str, services: Services) -> KeyedJournal:
    in_use = ConflictError(
        "Another process replays this A/B test",
        value=f"replay {replay.number} of A/B test {replay.experiment_id}",
        allowed="one at a time",
        next_step="wait for it",
    )
    return KeyedJournal(_folder(replay, services) / name, in_use)
