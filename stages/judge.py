"""A judging model gives its verdict on every item of a rating task, beside the experts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from contracts.enums import RatingKind
from contracts.errors import ConflictError, UnavailableError
from contracts.judging import JudgedTask
from contracts.ratings import Rating
from evaluation.judging.pairwise import JudgedPair, judge_pairs, pairwise_judging, pairwise_report
from evaluation.judging.rubric import JudgedAnswer, judge_answers, rubric_judging, rubric_report
from evaluation.scorers.score import Score
from stages.judge_endpoint import EndpointJudge
from stages.rating_tasks import items_of, task_named
from storage.journal import KeyedJournal
from storage.stored_files import write_stored_json

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.evaluation import TestCase
    from contracts.judging import JudgeEndpoint, JudgeRequest, PairVerdict, RubricVerdict
    from contracts.ratings import RatingItem, RatingTask
    from evaluation.asking import Answer
    from evaluation.judging.asking import Replies
    from stages.services import Services

JOURNAL_FILE = "judge-replies.jsonl"
OnProgress = Callable[[int, int], None]


def judge_task(request: JudgeRequest, services: Services, on_progress: OnProgress | None = None) -> JudgedTask:
    """The judge's verdicts, stored beside the experts' ratings, and what they come to.

    A killed run goes on where it stopped: what the judge said once it is never asked again.
    """
    task, items = task_named(request.task, services), items_of(request.task, services)
    items = items[: request.max_items]
    folder = services.settings.ratings_dir / task.name
    judge = EndpointJudge(request.judge, services.settings)
    with _journal(folder) as journal:
        if task.kind is RatingKind.PAIRWISE:
            judged, ratings = _pairwise(task, items, request.judge, judge, journal, on_progress)
        else:
            judged, ratings = _rubric(task, items, request.judge, judge, journal, on_progress)
    with services.unit_of_work() as uow:
        uow.ratings.rate(ratings)
    digest = judged.rater.rpartition(":")[2]
    write_stored_json(folder / f"judged-{digest}.json", judged.model_dump(mode="json"))
    return judged


def rubric_scorer(
    endpoint: JudgeEndpoint, folder: Path, services: Services, on_progress: OnProgress | None = None
) -> Callable[[Sequence[tuple[TestCase, Answer]]], Mapping[str, Score | str]]:
    """What scores the answers to cases with a rubric: by case id a score, or why there is none.

    `folder` keeps what the judge said; a run that is started again there asks nothing twice.
    """
    judging = rubric_judging(endpoint)

    def score(answered: Sequence[tuple[TestCase, Answer]]) -> Mapping[str, Score | str]:
        answers = [
            JudgedAnswer(
                item_key=case.id,
                question=case.question,
                answer=answer.text,
                references=case.accepted_answers,
                rubric=str(case.options.get("rubric", "")),
                category=case.category,
                source_document=case.source_document,
            )
            for case, answer in answered
        ]
        with _journal(folder) as journal:
            replies = judge_answers(answers, judging, EndpointJudge(endpoint, services.settings), journal, on_progress)
        return {
            **replies.excluded,
            **{key: Score(verdict.share, verdict.reason) for key, verdict in replies.verdicts.items()},
        }

    return score


def judge_version(endpoint: JudgeEndpoint) -> str:
    """Model, prompt and sampling of a rubric's judge in one word: part of a result's conditions."""
    return rubric_judging(endpoint).conditions.rater


def _journal(folder: Path) -> KeyedJournal:
    return KeyedJournal(
        folder / JOURNAL_FILE,
        ConflictError(
            "Another process judges these answers",
            value=folder.name,
            allowed="one judge at a time",
            next_step="wait for it",
        ),
    )


def _pairwise(
    task: RatingTask,
    items: Sequence[RatingItem],
    endpoint: JudgeEndpoint,
    judge: EndpointJudge,
    journal: KeyedJournal,
    on_progress: OnProgress | None,
) -> tuple[JudgedTask, list[Rating]]:
    judging = pairwise_judging(endpoint)
    pairs = [
        JudgedPair(
            item_key=item.item_key,
            question=item.question,
            answer_a=item.answer_a,
            answer_b=item.answer_b or "",
            references=item.accepted_answers,
            criteria=item.rubric,
            category=item.category,
            source_document=item.source_document,
        )
        for item in items
    ]
    replies: Replies[PairVerdict] = judge_pairs(pairs, judging, judge, journal, on_progress)
    _need_verdicts(replies)
    report = pairwise_report(task.model_a, task.model_b or "", pairs, judging, replies)
    rater = judging.conditions.rater
    judged = JudgedTask(task=task.name, kind=task.kind, rater=rater, pairwise=report, asked_now=replies.asked_now)
    return judged, [
        _rating(
            task,
            item,
            rater,
            verdict.winner.value,
            verdict.reason,
            {"a_first": verdict.a_first.value, "b_first": verdict.b_first.value},
        )
        for item in items
        if (verdict := replies.verdicts.get(item.item_key)) is not None
    ]


def _rubric(
    task: RatingTask,
    items: Sequence[RatingItem],
    endpoint: JudgeEndpoint,
    judge: EndpointJudge,
    journal: KeyedJournal,
    on_progress: OnProgress | None,
) -> tuple[JudgedTask, list[Rating]]:
    judging = rubric_judging(endpoint)
    answers = [
        JudgedAnswer(
            item_key=item.item_key,
            question=item.question,
            answer=item.answer_a,
            references=item.accepted_answers,
            rubric=item.rubric,
            category=item.category,
            source_document=item.source_document,
        )
        for item in items
    ]
    replies: Replies[RubricVerdict] = judge_answers(answers, judging, judge, journal, on_progress)
    _need_verdicts(replies)
    report = rubric_report(task.model_a, answers, judging, replies)
    rater = judging.conditions.rater
    judged = JudgedTask(task=task.name, kind=task.kind, rater=rater, rubric=report, asked_now=replies.asked_now)
    return judged, [
        _rating(task, item, rater, str(verdict.score), verdict.reason, {})
        for item in items
        if (verdict := replies.verdicts.get(item.item_key)) is not None
    ]


def _need_verdicts(replies: Replies[PairVerdict] | Replies[RubricVerdict]) -> None:
    if not replies.verdicts:
        raise UnavailableError(
            "The judge gave no verdict on any item",
            value=", ".join(f"{reason} {count}" for reason, count in sorted(replies.exclusion_counts().items())),
            allowed="replies that are the JSON object of the judge's prompt",
            next_step="take a larger judging model, or raise max_tokens where it is cut off",
        )


def _rating(
    task: RatingTask, item: RatingItem, rater: str, value: str, comment: str, details: dict[str, object]
) -> Rating:
    return Rating.model_validate(
        {
            "item_key": item.item_key,
            "task": task.name,
            "suite_name": task.suite_name,
            "case_id": item.case_id,
            "category": item.category,
            "rater": rater,
            "value": value,
            # PostgreSQL's text takes no NUL and no lone surrogate
            "comment": comment.replace("\0", "").encode("utf-8", "replace").decode(),
            "details": details,
        }
    )
