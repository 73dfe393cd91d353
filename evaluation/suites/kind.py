"""What every kind of suite is given, and what it gives back."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contracts.errors import InvalidRequestError
from contracts.evaluation import TestCase
from contracts.record import JsonObject
from contracts.suites import CaseScore, EvaluationConditions, ScoreEstimate
from evaluation.asking import Answer
from evaluation.scorers.score import Score
from evaluation.test_cases import Suite
from storage.journal import KeyedJournal

JudgeAnswers = Callable[[Sequence[tuple[TestCase, Answer]]], Mapping[str, Score | str]]
"""Scores by case id, or why a case could not be judged."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The model that is evaluated, as a suite sees it."""

    served_name: str
    """Name under which the server answers as this model."""
    endpoint_url: str | None = None
    """OpenAI base URL; None for kinds that read the weights themselves."""
    model_path: Path | None = None
    """Folder of the whole model; None where only an endpoint is known."""
    adapter_path: Path | None = None
    engine: str = ""
    """Server program and version."""
    template_sha256: str = ""
    """Of the chat template; empty where only the server knows it."""

    def need_endpoint(self) -> str:
        """The endpoint's URL. Raises InvalidRequestError where there is none."""
        if self.endpoint_url is None:
            raise InvalidRequestError(
                "The suite asks a served model, and there is no server",
                value=self.served_name,
                next_step="evaluate it through `tuneway evaluate`, which starts one",
            )
        return self.endpoint_url

    def need_folder(self, what: str) -> Path:
        """The model's folder. Raises InvalidRequestError where only an endpoint is known."""
        if self.model_path is None:
            raise InvalidRequestError(
                f"{what} reads the model's weights itself, and only an endpoint is known",
                value=self.served_name,
                allowed="a registered model, a job or a model's folder",
                next_step="name the model by its registry name, job or folder instead of its endpoint",
            )
        return self.model_path


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a suite is asked, the same for all suites of a run."""

    system_prompt: str | None = None
    max_answer_tokens: int = 128
    concurrency: int = 16
    speed: bool = False
    """Also measure the server's speed."""
    judge: JudgeAnswers | None = None
    """Scores what a rubric scores; None where the run has no judge."""
    judge_version: str = ""
    """Judge model, prompt and sampling; part of the conditions."""
    max_cases: int | None = None
    """For kinds whose cases are read during the run."""
    tools: Mapping[str, object] = field(default_factory=dict)
    """What other packages lend, by name: the detectors of data preparation."""


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run keeps what it has done, and whom it tells."""

    folder: Path
    """Of this suite's run alone; what lies there survives a kill."""
    journal: KeyedJournal
    on_progress: Callable[[int, int], None]
    """(done, total) within this suite."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of a suite found."""

    cases: list[CaseScore]
    scores: list[ScoreEstimate]
    """The first one decides."""
    by_category: dict[str, ScoreEstimate] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    """Cases without a score, by reason, beside those that the suite itself leaves out."""


RunSuite = Callable[[Suite, Subject, RunOptions, RunState], Outcome]
ConditionsOf = Callable[[Suite, Subject, RunOptions], EvaluationConditions]


def sha256_of_text(text: str | None) -> str:
    """Hex digest of a text; None counts as empty."""
    return hashlib.sha256((text or "").encode()).hexdigest()


def conditions_of(
    suite: Suite, subject: Subject, options: RunOptions, *, engine: str, sampling: JsonObject, scoring: str
) -> EvaluationConditions:
    """The conditions record of a run."""
    return EvaluationConditions(
        suite_name=suite.name,
        suite_version=suite.version,
        suite_sha256=suite.cases_sha256,
        system_prompt_sha256=sha256_of_text(options.system_prompt),
        template_sha256=subject.template_sha256,
        engine=engine,
        sampling=sampling,
        scoring=scoring,
    )


def check_nothing(suite: Suite, subject: Subject) -> None:
    """Any suite of the kind will do."""


@dataclass(frozen=True, slots=True)
class SuiteType:
    """How suites of one kind are run."""

    run: RunSuite
    conditions: ConditionsOf
    """Known before the first question, so that a stored result can be found."""
    needs_server: bool = True
    """Asks the served model; else it reads the weights in its own process, where there are any."""
    check: Callable[[Suite, Subject], None] = check_nothing
    """Raises before a model is loaded what would otherwise fail after it."""
