"""Single answers on a rubric's scale from 1 to 5."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.judging import HIGHEST_SCORE, LOWEST_SCORE, JudgeEndpoint, RubricReport, RubricVerdict
from contracts.suites import ScoreEstimate
from evaluation.intervals import mean_estimate
from evaluation.judging.asking import JudgeModel, JudgeQuestion, Judging, OnProgress, Replies, ask_judge
from evaluation.judging.prompts import load_prompt
from evaluation.judging.replies import RUBRIC_SCHEMA, rubric_verdict_in
from storage.journal import KeyedJournal

DEFAULT_RUBRIC = "질문에 정확하게 답했는가. 참고 답변이 있으면 그 내용과 어긋나지 않는가."


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """What a judge sees of one answer."""

    item_key: str
    question: str
    answer: str
    references: Sequence[str] = ()
    rubric: str = ""
    category: str = "general"
    source_document: str | None = None


def rubric_judging(judge: JudgeEndpoint) -> Judging[RubricVerdict]:
    """How a judge is asked for scores."""
    prompt = load_prompt("rubric")
    return Judging(prompt, RUBRIC_SCHEMA, rubric_verdict_in, prompt.conditions(judge), judge.concurrency)


def judge_answers(
    answers: Sequence[JudgedAnswer],
    judging: Judging[RubricVerdict],
    judge: JudgeModel,
    journal: KeyedJournal,
    on_progress: OnProgress | None = None,
) -> Replies[RubricVerdict]:
    """The verdict on every answer by item_key, or the reason why there is none; see `ask_judge`."""
    questions = [
        JudgeQuestion(
            one.item_key,
            judging.prompt.filled_in(
                {
                    "question": one.question,
                    "reference": "\n".join(one.references),
                    "rubric": one.rubric or DEFAULT_RUBRIC,
                    "answer": one.answer,
                }
            ),
        )
        for one in answers
    ]
    return ask_judge(questions, judging, judge, journal, on_progress)


def rubric_report(
    model: str,
    answers: Sequence[JudgedAnswer],
    judging: Judging[RubricVerdict],
    replies: Replies[RubricVerdict],
) -> RubricReport:
    """Mean score with its interval, as a whole and by category."""
    judged = [one for one in answers if one.item_key in replies.verdicts]
    scores = {key: float(verdict.score) for key, verdict in replies.verdicts.items()}
    of_category: dict[str, list[JudgedAnswer]] = defaultdict(list)
    for one in judged:
        of_category[one.category].append(one)
    counted = Counter(verdict.score for verdict in replies.verdicts.values())
    return RubricReport(
        conditions=judging.conditions,
        model=model,
        n=len(judged),
        excluded=replies.exclusion_counts(),
        mean_score=_mean(judged, scores),
        distribution={score: counted[score] for score in range(LOWEST_SCORE, HIGHEST_SCORE + 1)},
        by_category={category: _mean(of, scores) for category, of in sorted(of_category.items())},
    )


def _mean(answers: Sequence[JudgedAnswer], scores: dict[str, float]) -> ScoreEstimate:
    return mean_estimate(
        "judge_score", [scores[one.item_key] for one in answers], [one.source_document for one in answers]
    )
