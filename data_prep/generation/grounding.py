"""Does a passage say what an answer says? A share of the answer's matter, and every one of its numbers.

grounding = Σ weight · support / Σ weight, over

- the answer's words that the question does not have: weight is the stem's length, support the share of the stem that
  stands in the passage as one piece. Korean words change at their end: `접수한` is wholly supported by `접수된`;
- the question's words, at half their weight: a question about something else is no question to this passage;
- the answer's numbers, four each: supported where the passage states the same value, in digits or in words.

Measured on 1,852 answers written in other words than their documents (demo/data): at 0.5, 89 % pass with their own
document and 6 % with another one; no number is refused wrongly.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from data_prep.normalisation import comparable

_WORD = re.compile(r"[^\W_]+")
_SENTENCE_ENDINGS = re.compile(
    r"(?:(?:하|되|시|드리|받|주|나|지|치|내|가)?(?:여|어|아|야|어야|아야|여야|해야|하여야|되어야)?"
    r"(?:합니다|됩니다|입니다|습니다|십시오|십니까|습니까|니다|세요|에요|예요|어요|아요|해요|돼요|지요|죠|네요|군요|나요|까요|다))$"
)
_PARTICLES = re.compile(
    r"(?:에서부터|으로부터|에게서|으로서|으로써|이라고|이라는|에서는|에게는|으로는|까지는|부터는|에서도|에서만|하고는|"
    r"에서|에게|으로|로서|로써|부터|까지|마다|처럼|보다|이나|라도|라는|라고|에는|에도|와는|과는|이며|이고|하며|하고|하여|하면|하는|한다|"
    r"되는|되며|되고|되면|된다|해서|하기|되어|해야|은|는|이|가|을|를|의|에|와|과|도|로|만|나|며|고|한|할|된|될|해|여|어|아|인|일|면|서)$"
)
_EMPTY_WORDS = frozenset(
    re.findall(
        r"\S+",
        "있다 없다 하다 되다 이다 아니다 있 없 하 되 이 그 저 것 수 등 및 또는 또한 그리고 그러나 다만 따라 따라서 따른 위해 위한 위하여 대해 대한 대하여 관해 관한 관하여 경우 "
        "때 바 점 중 후 전 내 안 밖 더 각 해당 다음 아래 위 모든 여러 매우 가장 네 예 아니요 아니오 안녕 감사 문의 답변 질문 내용 사항 규정 필요 가능 진행 통해 통하여 의해 "
        "의하여 경우에는 합 됩 입 수있 때문 정도 이상의 주 드리 드립 바랍 알려 알 말씀 무엇 누구 언제 어디 어떻게 어떤 왜 얼마 며칠 몇",
    )
)
_MIN_STEM = 2
_QUESTION_WEIGHT = 0.5
_NUMBER_WEIGHT = 4


@dataclass(frozen=True, slots=True)
class Source:
    """What samples of one passage may say: the passage with its headings, made ready to be searched."""

    compared: str
    numbers: frozenset[str]


def source_of(texts: Iterable[str]) -> Source:
    """The passage, its headings and its document's title as one source."""
    joined = unicodedata.normalize("NFKC", "\n".join(texts))
    return Source("\n".join(comparable(line) for line in joined.splitlines()), frozenset(supported_numbers(joined)))


def grounding(question: str, answer: str, source: Source) -> float:
    """Share of the sample's matter that the source supports, 0 to 1. A sample without any matter has 1."""
    asked = _stems(question)
    whole = found = 0.0
    for stem in asked:
        whole += _QUESTION_WEIGHT * len(stem)
        found += _QUESTION_WEIGHT * _supported_characters(stem, source.compared)
    for stem in _stems(answer) - asked:
        whole += len(stem)
        found += _supported_characters(stem, source.compared)
    numbers = numbers_in(answer)
    whole += _NUMBER_WEIGHT * len(numbers)
    found += _NUMBER_WEIGHT * (len(numbers) - len(unsupported_numbers(answer, source)))
    return found / whole if whole else 1.0


def _stems(text: str) -> set[str]:
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return {stem for word in words if (stem := stem_of(word)) is not None}


def stem_of(word: str) -> str | None:
    """The word without its ending; None where it carries no matter of its own."""
    if any(letter.isdigit() for letter in word):
        return None  # judged as a number
    bare = _SENTENCE_ENDINGS.sub("", word)
    if len(bare) > _MIN_STEM:
        bare = _PARTICLES.sub("", bare)
    return bare if len(bare) >= _MIN_STEM and bare not in _EMPTY_WORDS and word not in _EMPTY_WORDS else None


def _supported_characters(stem: str, compared: str) -> int:
    """Length of the stem's longest beginning that the source has, at least two characters.

    A compound's parts may stand apart in the source (`처리기한` of `처리 기한`): the rest is looked up by itself.
    """
    if stem in compared:
        return len(stem)
    for length in range(len(stem) - 1, _MIN_STEM - 1, -1):
        if stem[:length] in compared:
            rest = stem[length:]
            return length + (len(rest) if len(rest) >= _MIN_STEM and rest in compared else 0)
    return 0


# Numbers

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_SCALED_PARTS = re.compile(r"(\d[\d,]*(?:\.\d+)?)?\s*([십백천]*)\s*([만억조]?)")
_MONEY = re.compile(r"(?:\d[\d,]*(?:\.\d+)?\s*[십백천]*\s*[만억조]?\s*)+")
_SMALL = {"십": 10, "백": 100, "천": 1000}
_LARGE = {"": 1, "만": 10_000, "억": 100_000_000, "조": 1_000_000_000_000}
_NATIVE = {
    "하나": 1, "한": 1, "둘": 2, "두": 2, "셋": 3, "세": 3, "석": 3, "넷": 4, "네": 4, "넉": 4, "다섯": 5, "여섯": 6, "일곱": 7,
    "여덟": 8, "아홉": 9, "열": 10, "열한": 11, "열두": 12, "스무": 20, "서른": 30, "마흔": 40, "쉰": 50,
}  # fmt: skip
_SINO = {"일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "칠": 7, "팔": 8, "구": 9}
_COUNTERS = (
    "가지|개월|개|건|곳|군데|대|달|단계|명|번|분|부|시간|시|살|사람|장|종|차례|채|쪽|해|회|배|마리|주|권|통|편|항목"
)
_NATIVE_COUNT = re.compile(rf"({'|'.join(sorted(_NATIVE, key=len, reverse=True))})\s?(?:{_COUNTERS})(?![가-힣]{{3,}})")
_SINO_COUNT = re.compile(r"(?<![가-힣])([일이삼사오육칠팔구]?[백]?[일이삼사오육칠팔구]?[십]?[일이삼사오육칠팔구]?)\s?(?:일|개월|년|주|회|퍼센트|조|항|호)(?![가-힣]{3,})")  # fmt: skip
_BARE_SCALE = re.compile(rf"(?<![\d가-힣])([십백천]?[만억]|[십백천])\s?(?:{_COUNTERS}|원|톤|킬로)")
_ARTICLE = re.compile(r"(?<=\d)\s*조(?!\s*(?:원|달러|엔|위안|\d[\d,]*\s*[십백천]*\s*억))")
"""`제12조` is an article; `12조 원` and `1조 5천억` are trillions."""
_CIRCLED = re.compile("[①-⑳㉠-㉻]")
_LIST_MARKER = re.compile(r"(?m)^\s*(?:[-*•]\s*)?(?:\(?\d{1,2}[.)]|[①-⑳])\s+")
_AFTERNOON = re.compile(r"(?:오후|저녁|밤)\s*(\d{1,2})\s*시")
_HOUR = re.compile(r"(?<!\d)(1[3-9]|2[0-4])\s*(?:시|:)")
_HALF_DAY = re.compile(r"보름|반년|일주일|하루|이틀|사흘|나흘|닷새|열흘|절반")
_NAMED = {"보름": "15", "반년": "6", "일주일": "7", "하루": "1", "이틀": "2", "사흘": "3", "나흘": "4", "닷새": "5", "열흘": "10", "절반": "50"}  # fmt: skip


def numbers_in(text: str) -> list[str]:
    """The numbers that a text states in digits, as plain values: `2,000만 원` is 20000000. Markers of a list are none."""
    plain = _ARTICLE.sub(" ", unicodedata.normalize("NFKC", _LIST_MARKER.sub(" ", _CIRCLED.sub(" ", text))))
    return [value for match in _MONEY.finditer(plain) for value in _values(match.group())]


def unsupported_numbers(text: str, source: Source) -> list[str]:
    """Numbers of the text that the source does not state, in digits or in words."""
    return [number for number in numbers_in(text) if not _alternatives(number, text) & source.numbers]


def supported_numbers(text: str) -> set[str]:
    """Every way in which a text's numbers may be stated by an answer: digits, scaled values, counting words, hours."""
    plain = _ARTICLE.sub(" ", unicodedata.normalize("NFKC", text))
    found = {_plain(match) for match in _NUMBER.findall(plain)}
    for match in _MONEY.finditer(plain):
        found.update(_values(match.group()))
    found.update(str(_NATIVE[word]) for word in _NATIVE_COUNT.findall(plain))
    found.update(str(value) for word in _SINO_COUNT.findall(plain) if (value := _sino_value(word)))
    found.update(value for scale in _BARE_SCALE.findall(plain) for value in _values(f"1{scale}"))
    found.update(str(int(hour) - 12) for hour in _HOUR.findall(plain))
    found.update(_NAMED[word] for word in _HALF_DAY.findall(plain))
    return found


def _alternatives(number: str, text: str) -> set[str]:
    found = {number}
    if number.isdigit() and int(number) < 12 and number in _AFTERNOON.findall(unicodedata.normalize("NFKC", text)):
        found.add(str(int(number) + 12))
    return found


def _plain(digits: str) -> str:
    """`2,000` and `2000.0` are `2000`; `007` is `7`."""
    whole, _, fraction = digits.replace(",", "").partition(".")
    fraction = fraction.rstrip("0")
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{fraction}" if fraction else whole


def _values(run: str) -> list[str]:
    """The values of digits that stand together: `2천만` is one, `1억 5,000만` too, `3 4` are two."""
    values: list[str] = []
    total: float = 0
    last_scale = 0
    for digits, small, large in _SCALED_PARTS.findall(run):
        if not digits and not small and not large:
            continue
        scale = _LARGE[large]
        for letter in small:
            scale *= _SMALL[letter]
        value = float(_plain(digits)) * scale if digits else float(scale)
        if scale == 1 and not last_scale:
            values.append(_plain(digits))
            continue
        if last_scale > scale:
            total += value
        else:
            if last_scale:
                values.append(_shown(total))
            total = value
        last_scale = scale if scale > 1 else 0
        if scale == 1:
            values.append(_shown(total))
            total, last_scale = 0, 0
    if last_scale:
        values.append(_shown(total))
    return values


def _shown(value: float) -> str:
    return str(int(value)) if value == int(value) else _plain(f"{value:.6f}")


def _sino_value(word: str) -> int:
    total = digit = 0
    for letter in word:
        if letter in _SMALL:
            total += (digit or 1) * _SMALL[letter]
            digit = 0
        else:
            digit = _SINO[letter]
    return total + digit
