"""A fact as a short conversation, in the words of a person who asks and of a clerk who answers."""

import random
from typing import TypedDict

from demo.facts import Fact
from demo.forms import answer, ask, load_forms

SYSTEM_PROMPT = "당신은 한빛고속도로공사의 업무 안내 도우미입니다."
OPENERS = ("안녕하세요. ", "문의드립니다. ", "수고 많으십니다. ", "여쭤볼 것이 있습니다. ")
OPENER_SHARE = 0.2
SYSTEM_SHARE = 0.06


class Message(TypedDict):
    """One turn."""

    role: str
    content: str


def compose(
    fact: Fact, question_form: str, rng: random.Random, lead_in: str = "", *, system: bool = True
) -> list[Message]:
    """The fact asked in this form; greeting, system prompt (where allowed) and wording of the answer are drawn."""
    opener = lead_in or (rng.choice(OPENERS) if rng.random() < OPENER_SHARE else "")
    answer_form = rng.choice(load_forms()[fact.attribute].answers)
    turns: list[Message] = []
    if rng.random() < SYSTEM_SHARE and system:
        turns.append({"role": "system", "content": SYSTEM_PROMPT})
    turns.append({"role": "user", "content": opener + ask(question_form, fact.entity)})
    turns.append({"role": "assistant", "content": answer(answer_form, fact.value)})
    return turns
