"""Is an answer right? Korean short answers are compared without being misled by spacing, particles or longer numbers.

An answer counts as right when it *contains* an accepted answer as a whole word or number:

- `제 14 호`, `제14호`, `제１４호` and `14호` are the same; so are `1,200원` and `1200 원`, `고객 지원 센터` and `고객지원센터`.
- `5년` is not found in `15년`, `14호` not in `114호`, `6개월` not in `1년 6개월`, `5일` not in `3~5일`.
- particles and the copula may follow (`영업처에서`, `5년입니다`), other syllables may not: `영업처` is not found in
  `영업처장` (a person) or `영업처리` (another word), and not in `동영업처` or `제2영업처` (another department).
- what is denied is not said: `영업처가 아닙니다` does not contain `영업처`.

An answer that names two alternatives contains both and counts as right for either.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_MIDDLE_DOTS = "·ㆍ・‧∙"
_RANGE_SIGNS = "~∼〜～"
_KEPT_SIGNS = frozenset("%℃.~+")
"""Signs that change a number's meaning. A full stop stays between digits only."""

_TIME_UNITS = "년|개월|주|일|시간|분|초"
_QUANTITY_BEFORE = re.compile(rf"\d(?:{_TIME_UNITS})$")
_QUANTITY_AFTER = re.compile(rf"^\d+(?:\.\d+)?(?:{_TIME_UNITS})")
_QUANTITY_ENDS = re.compile(rf"\d(?:{_TIME_UNITS})$")

_PARTICLES = (
    "에서부터|으로부터|이라도|에서|에게|께서|한테|부터|까지|으로|보다|처럼|만큼|마다|조차|밖에|이나|이랑|하고|라도|"
    "은|는|이|가|을|를|의|에|도|만|로|과|와|나|랑|께"
)
_COPULA = (
    "입니다|입니까|이에요|예요|에요|이었습니다|였습니다|이며|며|이고|고|이라고|라고|이라는|라는|이라|라|이다|다|"
    "인데|인데요|이지만|지만|이지요|지요|이죠|죠|이야|야|이므로|므로|이니|임|인|일"
)
ENDING = rf"(?:{_PARTICLES})*(?:(?:{_COPULA})(?:요|만|만요|은|는|을|를|도)?)?"
"""Pattern of what may follow a word without making it another: particles, then the copula."""
_TAIL = re.compile(ENDING)
_QUANTITY_TAIL = re.compile(rf"(?:간|동안|이내|내|이상|이하|안|후|뒤|씩|째)?{ENDING}")
_BARE_NUMBER_TAIL = re.compile(rf"(?:번)?{ENDING}")
_FORM_NUMBER_TAIL = re.compile(rf"(?:서식|양식)?{ENDING}")
_FORM_NUMBER_ENDS = re.compile(r"\d호$")
_DENIAL = re.compile(r"^(?:아니|아닙|아닌|아님|아녜|아녀)")
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Compact:
    """A text without separators, and where they were."""

    text: str
    gaps: dict[int, str]
    """Index of the character a separator stood before → `space` or `mark`."""

    def token_end(self, start: int) -> int:
        """Index of the first separator at or after `start`, or the end of the text."""
        return min((index for index in self.gaps if index >= start), default=len(self.text))


def final_answer(text: str) -> str:
    """The answer without the model's thoughts (`<think>…</think>`); empty if it never stopped thinking."""
    return _THOUGHT.sub(" ", text).strip()


def _is_digit(character: str) -> bool:
    return character.isdigit()


def _is_hangul(character: str) -> bool:
    return "가" <= character <= "힣"


@lru_cache(maxsize=4096)
def _compact(text: str) -> _Compact:
    folded = unicodedata.normalize("NFKC", text).casefold()
    for sign in _RANGE_SIGNS:
        folded = folded.replace(sign, "~")
    for dot in _MIDDLE_DOTS:
        folded = folded.replace(dot, " ")
    folded = folded.replace("퍼센트", "%")
    folded = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", folded)
    folded = re.sub(r"(?<!\d)(\d{1,2})\s*[-–—]\s*(?=\d{1,2}(?!\d))", r"\1~", folded)
    folded = re.sub(r"(?<![^\W_])제\s*(?=\d)", "", folded)
    characters: list[str] = []
    gaps: dict[int, str] = {}
    for index, character in enumerate(folded):
        is_decimal_point = (
            character == "."
            and 0 < index < len(folded) - 1
            and _is_digit(folded[index - 1])
            and _is_digit(folded[index + 1])
        )
        if character.isalnum() or (character in _KEPT_SIGNS and (character != "." or is_decimal_point)):
            characters.append(character)
        elif not unicodedata.category(character).startswith("M"):
            kind = "space" if character.isspace() else "mark"
            if gaps.get(len(characters)) != "mark":
                gaps[len(characters)] = kind
    return _Compact("".join(characters), gaps)


def normalise_answer(text: str) -> str:
    """The form in which answers are compared: composed, half-width, lower case, single spaces, no punctuation."""
    compact = _compact(text)
    words = "".join(
        (" " if index in compact.gaps and index else "") + character for index, character in enumerate(compact.text)
    )
    return re.sub(r"(?<=\d) (?=[가-힣])", "", words)


def _starts_at_boundary(answer: _Compact, start: int) -> bool:
    if start == 0:
        return True
    before, first = answer.text[start - 1], answer.text[start]
    gap = answer.gaps.get(start)
    if gap is None:
        return _is_hangul(before) and not _is_hangul(first) and first.isalnum()
    if before == "~":
        return False
    return not (gap == "space" and _is_digit(first) and _QUANTITY_BEFORE.search(answer.text[:start]))


def _ends_at_boundary(answer: _Compact, end: int) -> bool:
    matched, token_end = answer.text[:end], answer.token_end(end)
    tail, rest = answer.text[end:token_end], answer.text[token_end:]
    if _QUANTITY_ENDS.search(matched):
        pattern = _QUANTITY_TAIL
    elif _FORM_NUMBER_ENDS.search(matched):
        pattern = _FORM_NUMBER_TAIL
    elif _is_digit(matched[-1]):
        pattern = _BARE_NUMBER_TAIL
    else:
        pattern = _TAIL
    if not pattern.fullmatch(tail):
        return False
    only_space = answer.gaps.get(token_end) == "space"
    if rest.startswith("~"):
        return False
    if not tail and only_space and _QUANTITY_ENDS.search(matched) and _QUANTITY_AFTER.match(rest):
        return False
    if tail == "의" and only_space and matched[-1] in "호조항" and rest[:1].isdigit():
        return False
    denied_here = not tail or re.fullmatch(r"이|가|은|는", tail)
    return not (denied_here and only_space and _DENIAL.match(rest))


def _joins_only_words(answer: _Compact, start: int, accepted: _Compact) -> bool:
    """No separator inside the match parts what the accepted answer writes together, save spaces between words."""
    for index in range(start + 1, start + len(accepted.text)):
        gap = answer.gaps.get(index)
        if gap is None or index - start in accepted.gaps:
            continue
        parts_a_number = _is_digit(answer.text[index - 1]) and _is_digit(answer.text[index])
        if gap == "mark" or parts_a_number:
            return False
    return True


def contains_answer(answer: str, accepted: str) -> bool:
    """The answer says the accepted answer as a whole word or number."""
    wanted = _compact(accepted)
    if not wanted.text:
        return False
    given = _compact(final_answer(answer))
    start = given.text.find(wanted.text)
    while start != -1:
        if (
            _starts_at_boundary(given, start)
            and _joins_only_words(given, start, wanted)
            and _ends_at_boundary(given, start + len(wanted.text))
        ):
            return True
        start = given.text.find(wanted.text, start + 1)
    return False


def is_correct(answer: str, accepted_answers: Iterable[str]) -> bool:
    """At least one accepted answer is in the answer."""
    return any(contains_answer(answer, accepted) for accepted in accepted_answers)
