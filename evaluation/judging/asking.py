"""A judge asked many questions: each once, again only where its reply cannot be read, and never what the journal holds."""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from contracts.errors import UnavailableError
from contracts.judging import JudgeConditions
from contracts.record import JsonObject
from evaluation.judging.prompts import Prompt
from storage.journal import KeyedJournal

log = logging.getLogger(__name__)

GIVE_UP_AFTER = 10
"""So many questions without one reply, from the start: the endpoint is at fault, not the questions."""
UNREADABLE = "unreadable_reply"
"""No reply was the JSON that was asked for."""
FAILED = "endpoint_failed"
"""The endpoint fails at this question, or refuses it."""
SECOND_TEMPERATURE = 0.5
"""Of a question that is asked again: at temperature 0 the same reply would come."""

Verdict = TypeVar("Verdict")
OnProgress = Callable[[int, int], None]
"""Called with (questions settled, questions in all)."""


class JudgeFailedError(Exception):
    """The endpoint fails at this question, however often it is asked. Says why."""


class JudgeModel(Protocol):
    """A judging model; an async context manager."""

    async def __aenter__(self) -> Self:
        """Open connections."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""

    async def reply(
        self, system: str, question: str, schema: JsonObject, *, temperature: float, max_tokens: int, seed: int
    ) -> str:
        """The model's text. Raises JudgeFailedError for one question, a TunewayError where none can be answered."""


@dataclass(frozen=True, slots=True)
class JudgeQuestion:
    """One thing that a judge is asked."""

    question_id: str
    text: str


@dataclass(slots=True)
class Replies(Generic[Verdict]):
    """What a judge said."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """By question_id."""
    excluded: dict[str, str] = field(default_factory=dict)
    """By question_id: why there is no verdict."""
    asked_now: int = 0
    """Calls that this run made; the rest was in the journal."""

    def exclusion_counts(self) -> dict[str, int]:
        """Questions without a verdict, by reason."""
        return dict(Counter(self.excluded.values()))


@dataclass(frozen=True, slots=True)
class Judging(Generic[Verdict]):
    """How a judge is asked and how its replies are read."""

    prompt: Prompt
    schema: JsonObject
    read: Callable[[str], Verdict | None]
    conditions: JudgeConditions
    concurrency: int


def ask_judge(
    questions: Sequence[JudgeQuestion],
    judging: Judging[Verdict],
    judge: JudgeModel,
    journal: KeyedJournal,
    on_progress: OnProgress | None = None,
) -> Replies[Verdict]:
    """Every question's verdict, or the reason why it has none. Each reply is in the journal before the next step.

    A question whose replies cannot be read is excluded after `readable_attempts`; one at which the endpoint fails is
    excluded this time and asked again the next. Raises UnavailableError where the endpoint fails at everything.
    """
    run = _Run(judging, judge, journal, len(questions), on_progress)
    return asyncio.run(run.through(questions))


class _Run(Generic[Verdict]):
    """What the workers share. They run in one thread: nothing needs a lock."""

    def __init__(
        self,
        judging: Judging[Verdict],
        judge: JudgeModel,
        journal: KeyedJournal,
        total: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._judging = judging
        self._judge = judge
        self._journal = journal
        self._total = total
        self._on_progress = on_progress
        self._replies: Replies[Verdict] = Replies()
        self._done = self._failed = 0
        self._under_way: dict[str, asyncio.Lock] = {}

    async def through(self, questions: Sequence[JudgeQuestion]) -> Replies[Verdict]:
        waiting = iter(questions)
        async with self._judge:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._judging.concurrency, len(questions))):
                        group.create_task(self._work(waiting))
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from failures
        return self._replies

    async def _work(self, questions: Iterator[JudgeQuestion]) -> None:
        for question in questions:
            # the same question twice, as where both models gave the same answer: one reply is enough
            async with self._under_way.setdefault(question.text, asyncio.Lock()):
                await self._settle(question)
            self._done += 1
            if self._on_progress is not None:
                self._on_progress(self._done, self._total)

    async def _settle(self, question: JudgeQuestion) -> None:
        conditions = self._judging.conditions
        for attempt in range(conditions.readable_attempts):
            key = _asked_key(question, conditions, attempt)
            entry = self._journal.get(key)
            if entry is None:
                try:
                    text = await self._ask(question, attempt)
                except JudgeFailedError as error:
                    self._fail(question, error)
                    return
                self._journal.add(key, {"text": text})
                self._replies.asked_now += 1
            else:
                text = str(entry["text"])
            verdict = self._judging.read(text)
            if verdict is not None:
                self._replies.verdicts[question.question_id] = verdict
                return
        self._replies.excluded[question.question_id] = UNREADABLE

    async def _ask(self, question: JudgeQuestion, attempt: int) -> str:
        conditions = self._judging.conditions
        return await self._judge.reply(
            self._judging.prompt.system,
            question.text,
            self._judging.schema,
            temperature=max(conditions.temperature, SECOND_TEMPERATURE if attempt else 0.0),
            max_tokens=conditions.max_tokens,
            seed=conditions.seed * conditions.readable_attempts + attempt,
        )

    def _fail(self, question: JudgeQuestion, error: JudgeFailedError) -> None:
        self._replies.excluded[question.question_id] = FAILED
        self._failed += 1
        log.warning("no verdict on %s: %s", question.question_id, error)
        if not self._replies.asked_now and self._failed >= min(GIVE_UP_AFTER, self._total):
            raise UnavailableError(
                f"The judge's endpoint fails at every question; none of {self._failed} was answered",
                value=error,
                next_step="look at the model server's log, then start the same judging again: it goes on where it stopped",
            ) from error


def _asked_key(question: JudgeQuestion, conditions: JudgeConditions, attempt: int) -> str:
    asked = json.dumps([question.text, conditions.sha256, attempt])
    return hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
