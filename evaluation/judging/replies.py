"""A judge's reply read strictly: one JSON object with exactly what was asked for, or nothing."""

import json
import re
from typing import Any

from contracts.judging import HIGHEST_SCORE, LOWEST_SCORE, RubricVerdict
from contracts.record import JsonObject
from evaluation.answer_scoring import final_answer

RUBRIC_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "score": {"type": "integer", "minimum": LOWEST_SCORE, "maximum": HIGHEST_SCORE},
    },
    "required": ["reason", "score"],
    "additionalProperties": False,
}
WINNERS = ("1", "2", "tie")
PAIRWISE_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "winner": {"type": "string", "enum": list(WINNERS)}},
    "required": ["reason", "winner"],
    "additionalProperties": False,
}
_FENCE = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL)


def _object_in(text: str, keys: set[str]) -> dict[str, Any] | None:
    """The reply's object without the model's thoughts; a code fence around it is all that may stand beside it."""
    said = final_answer(text).strip()
    fenced = _FENCE.fullmatch(said)
    try:
        value = json.loads(fenced[1] if fenced else said)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or set(value) != keys or not isinstance(value["reason"], str):
        return None
    return value


def rubric_verdict_in(text: str) -> RubricVerdict | None:
    """The score and its reason; None where the reply is anything else."""
    value = _object_in(text, {"reason", "score"})
    # a bool is an int to Python, and 3.0 is not what was asked for
    if value is None or type(value["score"]) is not int or not LOWEST_SCORE <= value["score"] <= HIGHEST_SCORE:
        return None
    return RubricVerdict(score=value["score"], reason=value["reason"])


def winner_in(text: str) -> tuple[str, str] | None:
    """`1`, `2` or `tie`, and the reason; None where the reply is anything else."""
    value = _object_in(text, {"reason", "winner"})
    if value is None or value["winner"] not in WINNERS:
        return None
    return value["winner"], value["reason"]
