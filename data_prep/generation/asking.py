"""Every question asked once: what the journal holds is not asked again."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from contracts.errors import InvalidRequestError, UnavailableError
from contracts.generation import GenerateRequest, TokenPrice
from data_prep.generation.answers import samples_in
from data_prep.generation.client import BusyError, Completion, ModelClient, RefusedError
from data_prep.generation.journal import Journal, asked_key
from data_prep.generation.templates import Question
from data_prep.rows import OnProgress

log = logging.getLogger(__name__)

GIVE_UP_AFTER = 10
"""So many questions without one answer, from the start: the endpoint is at fault, not the questions."""

_SECOND_TEMPERATURE = 0.5


@dataclass(slots=True)
class Asked:
    """What a run of questions brought and what it cost."""

    answered_now: int = 0
    """Calls that this run paid for."""
    cost_now: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)
    """By prompt_sha256: why a question has no answer."""
    stopped_at_cost: bool = False


def cost_of(completion: Completion, price: TokenPrice) -> float:
    """What the endpoint's owner charges for an answer."""
    return (
        completion.input_tokens * price.input_per_million + completion.output_tokens * price.output_per_million
    ) / 1_000_000


def answers_in(journal: Journal, question: Question, request: GenerateRequest) -> Iterator[Completion]:
    """The answers to a question that the journal has, in the order in which they were given."""
    for attempt in range(request.readable_attempts):
        completion = journal.get(_key(question, request, attempt))
        if completion is None:
            return
        yield completion


def _key(question: Question, request: GenerateRequest, attempt: int) -> str:
    return asked_key(
        prompt_sha256=question.prompt_sha256,
        model=request.model,
        temperature=request.temperature,
        max_tokens=request.max_answer_tokens,
        seed=request.seed,
        attempt=attempt,
    )


def is_settled(journal: Journal, question: Question, request: GenerateRequest) -> bool:
    """There is nothing more to ask: an answer can be read, or none could be however often it was asked."""
    answers = list(answers_in(journal, question, request))
    return len(answers) == request.readable_attempts or any(samples_in(one.text) is not None for one in answers)


def ask_all(
    questions: Callable[[], Iterator[Question]],
    request: GenerateRequest,
    journal: Journal,
    *,
    endpoint_url: str,
    model: str,
    api_key: str | None,
    on_progress: OnProgress | None = None,
) -> Asked:
    """Ask what is not settled yet, `request.concurrency` at a time; each answer is in the journal before the next step.

    A question that fails alone is left unanswered. Raises UnavailableError when the endpoint is away or fails at
    everything, InvalidRequestError when it refuses everything; the answers until then are kept.
    """
    total = left = 0
    for question in questions():
        total += 1
        left += not is_settled(journal, question, request)
    if not left:
        return Asked()
    client = ModelClient(
        endpoint_url,
        model,
        api_key=api_key,
        timeout_seconds=request.timeout_seconds,
        attempts=request.attempts,
        concurrency=request.concurrency,
    )
    run = _Run(request, journal, client, total, left, on_progress)
    open_questions = (question for question in questions() if not is_settled(journal, question, request))
    asyncio.run(_work(run, client, open_questions, min(request.concurrency, left)))
    log.info("%d answers were paid for; the endpoint was held to %s", run.asked.answered_now, client.constraint.value)
    return run.asked


async def _work(run: "_Run", client: ModelClient, questions: Iterator[Question], workers: int) -> None:
    run.tell()
    async with client:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(run.work(questions))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures


class _Run:
    """What the workers share. They run in one thread: nothing needs a lock."""

    def __init__(
        self,
        request: GenerateRequest,
        journal: Journal,
        client: ModelClient,
        total: int,
        left: int,
        on_progress: OnProgress | None,
    ) -> None:
        self.asked = Asked()
        self._request = request
        self._journal = journal
        self._client = client
        self._total = total
        self._left = left
        self._on_progress = on_progress
        self._done = 0
        self._failed_in_a_row = 0
        self._seen: set[str] = set()

    async def work(self, questions: Iterator[Question]) -> None:
        """Ask the next question until there is none."""
        for question in questions:
            try:
                # the same passage under the same headings, twice in the documents: one answer is enough
                if question.prompt_sha256 not in self._seen:
                    self._seen.add(question.prompt_sha256)
                    await self._answer(question)
            except (RefusedError, BusyError) as error:
                self._failed(question, error)
            if self.asked.stopped_at_cost:
                return
            self._done += 1
            self.tell()

    async def _answer(self, question: Question) -> None:
        for attempt in range(self._request.readable_attempts):
            key = _key(question, self._request, attempt)
            completion = self._journal.get(key)
            if completion is None:
                limit = self._request.max_cost
                if limit is not None and self.asked.cost_now >= limit:
                    self.asked.stopped_at_cost = True
                    return
                completion = await self._client.complete(
                    question.messages,
                    question.schema,
                    # the same question at temperature 0 would bring the same answer
                    temperature=max(self._request.temperature, _SECOND_TEMPERATURE if attempt else 0.0),
                    max_tokens=self._request.max_answer_tokens,
                    seed=self._request.seed * self._request.readable_attempts + attempt,
                )
                self._journal.add(key, completion)
                self.asked.answered_now += 1
                self.asked.cost_now += cost_of(completion, self._request.price)
                self._failed_in_a_row = 0
            if samples_in(completion.text) is not None:
                return

    def _failed(self, question: Question, error: RefusedError | BusyError) -> None:
        self.asked.failures[question.prompt_sha256] = str(error)
        self._failed_in_a_row += 1
        log.warning("no answer for %s (%s): %s", question.passage.chunk.chunk_id, question.template.value, error)
        if self.asked.answered_now or self._failed_in_a_row < min(GIVE_UP_AFTER, self._left):
            return
        if isinstance(error, RefusedError):
            raise InvalidRequestError(
                f"The generator's endpoint refuses every question; none of {self._failed_in_a_row} was answered",
                value=error,
                allowed="questions that fit the model's context",
                next_step="lower max_chunk_characters or max_answer_tokens, or raise the server's maximum length",
            ) from error
        raise UnavailableError(
            f"The generator's endpoint fails at every question; none of {self._failed_in_a_row} was answered",
            value=error,
            next_step="look at the model server's log, then start the same generation again",
        ) from error

    def tell(self) -> None:
        """How many questions are settled."""
        if self._on_progress is not None:
            self._on_progress("asking the generator", self._total - self._left + self._done, self._total)
