"""Judges behind a real HTTP server, whose rules a test knows."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from threading import Lock

from tests.data_prep.generation.endpoint import Body, Reply, said

_ANSWERS = re.compile(r"<답변 1>\n(.*?)\n</답변 1>.*<답변 2>\n(.*?)\n</답변 2>", re.DOTALL)
_ANSWER = re.compile(r"<답변>\n(.*?)\n</답변>", re.DOTALL)


def answers_in(body: Body) -> tuple[str, str]:
    """Both answers as the judge sees them."""
    found = _ANSWERS.search(body["messages"][-1]["content"])
    assert found is not None
    return found[1], found[2]


def winner(which: str) -> Reply:
    """A readable reply."""
    return said(json.dumps({"reason": f"{which} 쪽이 낫습니다.", "winner": which}, ensure_ascii=False))


def longer_wins(body: Body) -> Reply:
    """A judge without a preference for a place."""
    first, second = answers_in(body)
    return winner("tie" if len(first) == len(second) else "1" if len(first) > len(second) else "2")


def biased(first_share: float, seed: int = 0) -> Callable[[Body], Reply]:
    """A judge that names the first answer with that probability, whatever is in it."""

    def answer(body: Body) -> Reply:
        chance = random.Random(f"{seed}{body['messages'][-1]['content']}").random()
        return winner("1" if chance < first_share else "2")

    return answer


def score_by_length(body: Body) -> Reply:
    """A rubric judge: one point for each character, at most five."""
    found = _ANSWER.search(body["messages"][-1]["content"])
    assert found is not None
    return said(json.dumps({"reason": "길이대로", "score": min(5, max(1, len(found[1])))}, ensure_ascii=False))


def troubled(judge: Callable[[Body], Reply]) -> Callable[[Body], Reply]:
    """A judge that fails with 500 the first time, breaks its JSON the second time, and then says what it thinks."""
    lock = Lock()
    calls: Counter[str] = Counter()

    def answer(body: Body) -> Reply:
        question = body["messages"][-1]["content"]
        with lock:
            calls[question] += 1
        if calls[question] == 1:
            return 500, {"error": "out of memory"}
        return said('{"reason": "끊긴 답') if calls[question] == 2 else judge(body)

    return answer
