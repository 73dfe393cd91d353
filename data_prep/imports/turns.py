"""The turns of a conversation, in whichever of the usual ways they are written."""

import json
import re
from typing import Any

import orjson

from contracts.record import JsonObject
from data_prep.imports.encoding import has_undecodable_bytes
from data_prep.rows import ROLES, Rejection

Turn = dict[str, Any]
"""`role`, `content`, and where the turn has them `tool_calls`, `tool_call_id`, `name`."""
EXTRA = ("tool_calls", "tool_call_id", "name")

_ALIASES = {
    "human": "user",
    "사용자": "user",
    "질문자": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "챗봇": "assistant",
    "상담사": "assistant",
    "function_call": "assistant",
    "developer": "system",
    "시스템": "system",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
"""Names of the roles in ShareGPT and the other usual datasets."""
_ROLES = frozenset(ROLES)
_ORDER = re.compile("s?(?:u(?:at+)*a)+")
_known_orders: set[str] = set()
"""Orders of turns that were found right: nearly all rows of a dataset have the same few."""


def read_turns(given: Any, system: str = "", what: str = "messages") -> list[Turn] | Rejection:
    """The turns of a list of turns (or its JSON text), a system turn before them, or why they are none.

    Understands `role`/`content`, ShareGPT's `from`/`value` and the roles' other names.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return Rejection(f"`{what}` is a text that is not JSON")
    if not isinstance(given, list) or not given:
        return Rejection(f"`{what}` is not a list of turns")
    turns: list[Turn] = [{"role": "system", "content": system}] if system and not system.isspace() else []
    for index, turn in enumerate(given):
        if type(turn) is dict and len(turn) == 2:
            role, content = turn.get("role"), turn.get("content")
            # isspace looks no further than the first character that is none
            if (
                role.__class__ is str
                and role in _ROLES
                and content.__class__ is str
                and content
                and not content.isspace()
            ):
                turns.append({"role": role, "content": content})
                continue
        read = _read_turn(turn, f"{what}[{index}]")
        if isinstance(read, Rejection):
            return read
        turns.append(read)
    if turns[0]["role"] == "system" and len(turns) > 1 and turns[1]["role"] == "system":
        if turns[0]["content"] != turns[1]["content"]:
            return Rejection("a system message stands after the first turn")
        del turns[0]
    order = "".join([turn["role"][0] for turn in turns])
    if order not in _known_orders:
        wrong = _wrong_order(order, turns)
        if wrong is not None:
            return wrong
        if len(_known_orders) < 1000:
            _known_orders.add(order)
    return turns


def _wrong_order(order: str, turns: list[Turn]) -> Rejection | None:
    if _ORDER.fullmatch(order):
        return None
    if order[-1] != "a":
        return Rejection("the last turn is not the assistant's")
    if "s" in order[1:]:
        return Rejection("a system message stands after the first turn")
    if any(before in "su" and here == "t" for before, here in zip("s" + order, order, strict=False)):
        return Rejection("a tool answers without having been asked by the assistant")
    return Rejection("user and assistant do not take turns")


def _read_turn(turn: Any, place: str) -> Turn | Rejection:
    """A turn that is not just a role and a text."""
    if not isinstance(turn, dict):
        return Rejection(f"{place} is not an object")
    given_role = next((turn[name] for name in ("role", "from", "speaker") if turn.get(name) is not None), None)
    content = next((turn[name] for name in ("content", "value", "text") if turn.get(name) is not None), None)
    # the value is not told: in a table with shifted columns it may be anything
    if not isinstance(given_role, str):
        return Rejection(f"{place}.role is not there; allowed: {', '.join(ROLES)}")
    folded = given_role.strip().casefold()
    role = _ALIASES.get(folded, folded)
    if role not in _ROLES:
        return Rejection(f"{place}.role is none that is known; allowed: {', '.join(ROLES)}")
    read: Turn = {"role": role, "content": ""}
    if folded == "function_call" and isinstance(content, str):
        calls = _calls_from_text(content)
        if calls is not None:
            return {**read, "tool_calls": calls}
    text = _content(content, role)
    if text is None:
        return Rejection(f"{place}.content is not a text")
    read["content"] = text
    extra = _extra(turn)
    if extra is None:
        return Rejection(f"{place} has tool calls that cannot be written as JSON")
    read.update(extra)
    if (not text or text.isspace()) and role != "tool" and not read.get("tool_calls"):
        return Rejection(f"{place}.content is empty or not a text")
    if has_undecodable_bytes(text):
        return Rejection("a text holds half of a character (a lone surrogate)")
    return read


def _content(content: Any, role: str) -> str | None:
    """The text of a turn: given as such, as a list of text parts, or, from a tool, as any JSON."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        return "\n".join(part["text"] for part in content)
    if role != "tool":
        return None
    try:
        return orjson.dumps(content).decode()
    except TypeError:
        return None


def _extra(turn: dict[str, Any]) -> JsonObject | None:
    extra: JsonObject = {name: turn[name] for name in EXTRA if turn.get(name) not in (None, "", [])}
    call = turn.get("function_call")
    if isinstance(call, dict) and "tool_calls" not in extra:
        extra["tool_calls"] = [{"type": "function", "function": call}]
    if not isinstance(extra.get("tool_calls", []), list):
        return None
    return extra


def _calls_from_text(text: str) -> list[JsonObject] | None:
    """The calls of a ShareGPT turn `function_call`, whose value is JSON: one call or a list of them."""
    try:
        given = orjson.loads(text)
    except ValueError:
        return None
    calls = given if isinstance(given, list) else [given]
    if not calls or not all(isinstance(call, dict) and isinstance(call.get("name"), str) for call in calls):
        return None
    return [{"type": "function", "function": call} for call in calls]


_CHATML = re.compile(r"<\|im_start\|>\s*(\w+)\s*\n(.*?)(?:<\|im_end\|>|(?=<\|im_start\|>)|\Z)", re.DOTALL)
_LLAMA2 = re.compile(r"(?:<s>)?\s*\[INST\](.*?)\[/INST\](.*?)(?=(?:<s>)?\s*\[INST\]|</s>|\Z)(?:</s>)?", re.DOTALL)
_LLAMA2_SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>", re.DOTALL)
_HEADINGS = re.compile(
    r"^(?:###\s*)(Instruction|Input|Response|System|User|Assistant|Human|명령어|지시|질문|입력|응답|답변|시스템)\s*:?[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_SPEAKERS = re.compile(
    r"^(Human|Assistant|User|System|Q|A|질문|답변|사용자|상담사|챗봇|고객)\s*:[ \t]*", re.IGNORECASE | re.MULTILINE
)
_SPEAKS = {
    **dict.fromkeys(("instruction", "user", "human", "명령어", "지시", "질문", "q", "사용자", "고객"), "user"),
    **dict.fromkeys(("input", "입력"), "input"),
    **dict.fromkeys(("response", "assistant", "응답", "답변", "a", "상담사", "챗봇"), "assistant"),
    **dict.fromkeys(("system", "시스템"), "system"),
}


def rendered_turns(text: str) -> list[Turn] | None:
    """The turns of a text into which a chat was rendered: ChatML, Llama 2, `### Instruction:`, `Human:`; None if none."""
    if "<|im_start|>" in text:
        given = [{"role": role, "content": content.strip()} for role, content in _CHATML.findall(text)]
    elif "[INST]" in text:
        given = []
        for question, answer in _LLAMA2.findall(text):
            if (system := _LLAMA2_SYSTEM.match(question)) is not None:
                given.append({"role": "system", "content": system[1].strip()})
                question = question[system.end() :]
            given.append({"role": "user", "content": question.strip()})
            given.append({"role": "assistant", "content": answer.strip()})
    else:
        given = _spoken(text, _HEADINGS) if "###" in text else _spoken(text, _SPEAKERS)
    if len(given) < 2:
        return None
    turns = read_turns(given)
    return None if isinstance(turns, Rejection) else turns


def _spoken(text: str, marks: re.Pattern[str]) -> list[Turn]:
    """Turns behind marks at line starts. What stands before the first heading is an instruction to all: the system's."""
    parts = marks.split(text)
    turns: list[Turn] = []
    if parts[0].strip():
        if marks is _SPEAKERS:
            return []
        turns.append({"role": "system", "content": parts[0].strip()})
    for mark, content in zip(parts[1::2], parts[2::2], strict=True):
        role = _SPEAKS[mark.casefold()]
        if role == "input":
            if turns and turns[-1]["role"] == "user" and content.strip():
                turns[-1]["content"] += f"\n\n{content.strip()}"
            continue
        turns.append({"role": role, "content": content.strip()})
    return turns
