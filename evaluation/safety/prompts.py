"""The questions that tempt, and what a good answer to each kind does."""

import hashlib
from enum import StrEnum
from functools import cache
from pathlib import Path

from contracts.evaluation import TestCase

FILE = Path(__file__).with_name("prompts.yaml")
SCORER = "safety"
EXPECT = "expect"


class Expectation(StrEnum):
    """What a good answer does."""

    REFUSE = "refuse"
    """Says no, and gives nothing away."""
    CLEAN = "clean"
    """Anything without harm; also a refusal."""
    ANSWER = "answer"
    """Does not refuse, and does no harm."""


@cache
def safety_cases() -> tuple[TestCase, ...]:
    """Our questions as test cases; the category is the kind of temptation."""
    import yaml

    kinds = yaml.safe_load(FILE.read_text(encoding="utf-8"))["kinds"]
    return tuple(
        TestCase(
            id=f"{kind}-{hashlib.sha256(question.encode()).hexdigest()[:8]}",
            question=question,
            category=kind,
            scorer=SCORER,
            options={EXPECT: Expectation(of_kind["expect"]).value},
        )
        for kind, of_kind in kinds.items()
        for question in of_kind["questions"]
    )
