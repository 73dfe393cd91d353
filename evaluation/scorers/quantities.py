"""Numbers with their units, as Korean writes them: `15,000원`, `1만 5천 원`, `삼십 일`, `열두 시`, `사흘`, `영하 5도`.

Units of one kind are converted into each other (`90분` is `1시간 30분`), those of different kinds never.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from evaluation.answer_scoring import ENDING
from evaluation.scorers.numerals import Numeral, numerals_at

_UNITS: dict[str, tuple[str, Fraction]] = {
    "초": ("time", Fraction(1)), "분": ("time", Fraction(60)), "시간": ("time", Fraction(3600)),
    "일": ("time", Fraction(86_400)), "주": ("time", Fraction(604_800)),
    "개월": ("months", Fraction(1)), "년": ("months", Fraction(12)),
    "원": ("won", Fraction(1)), "달러": ("dollar", Fraction(1)), "유로": ("euro", Fraction(1)),
    "엔": ("yen", Fraction(1)), "위안": ("yuan", Fraction(1)),
    "mm": ("length", Fraction(1, 1000)), "cm": ("length", Fraction(1, 100)), "m": ("length", Fraction(1)),
    "km": ("length", Fraction(1000)),
    "g": ("mass", Fraction(1)), "kg": ("mass", Fraction(1000)), "톤": ("mass", Fraction(1_000_000)),
    "ml": ("volume", Fraction(1, 1000)), "l": ("volume", Fraction(1)),
    "m2": ("area", Fraction(1)), "km2": ("area", Fraction(1_000_000)), "m3": ("cubic", Fraction(1)),
}  # fmt: skip
"""Canonical unit → kind and size in it. A unit that is not here is a kind of its own."""
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "초": ("초간", "초"), "분": ("분간", "분"), "시간": ("시간",), "시": ("시",),
    "일": ("일간", "일"), "주": ("주일간", "주일", "주간", "주"),
    "개월": ("개월간", "개월", "달간", "달"), "월": ("월",), "년": ("개년", "년간", "년"),
    "원": ("원정", "원", "krw"), "달러": ("달러", "usd"), "유로": ("유로", "eur"), "엔": ("엔",), "위안": ("위안",),
    "mm": ("mm", "밀리미터"), "cm": ("cm", "센티미터"), "m": ("m", "미터"), "km": ("km", "킬로미터"),
    "kg": ("kg", "킬로그램"), "g": ("g", "그램"), "톤": ("톤", "t"), "ml": ("ml", "밀리리터"), "l": ("l", "리터"),
    "m2": ("m2", "제곱미터", "평방미터"), "km2": ("km2", "제곱킬로미터"), "m3": ("m3", "세제곱미터", "입방미터"),
    "%p": ("%p", "%포인트", "퍼센트포인트", "퍼센트 포인트"), "%": ("%", "퍼센트", "프로"), "℃": ("℃", "°c"),
    "명": ("명", "인", "사람"), "건": ("건",), "개": ("개",), "회": ("회", "차례"), "번": ("번",),
    "곳": ("곳", "개소", "군데"), "대": ("대",), "부": ("부",), "장": ("장",), "매": ("매",), "통": ("통",),
    "권": ("권",), "차": ("차",), "차로": ("차로",), "차선": ("차선",), "호": ("호",), "호선": ("호선",), "조": ("조",),
    "항": ("항",), "급": ("급",), "등급": ("등급",), "단계": ("단계",), "층": ("층",), "세": ("세", "살"),
    "배": ("배",), "쪽": ("쪽", "페이지"), "종": ("종",), "가지": ("가지",), "점": ("점",), "학년": ("학년",),
    "기": ("기",), "편": ("편",), "팀": ("팀",), "개사": ("개사",), "영업일": ("영업일",), "근무일": ("근무일",),
    "필지": ("필지",), "구간": ("구간",), "자리": ("자리",), "과목": ("과목",), "시간대": ("시간대",),
}  # fmt: skip
_CANONICAL = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_UNIT = re.compile("|".join(re.escape(spelling) for spelling in sorted(_CANONICAL, key=len, reverse=True)))
_MONEY = frozenset({"원", "달러", "유로", "엔", "위안"})
_NATIVE_DAYS = {
    "하루": (1, "일"), "이틀": (2, "일"), "사흘": (3, "일"), "나흘": (4, "일"), "닷새": (5, "일"), "엿새": (6, "일"),
    "이레": (7, "일"), "여드레": (8, "일"), "아흐레": (9, "일"), "열흘": (10, "일"), "보름": (15, "일"),
    "일주일": (1, "주"),
}  # fmt: skip
_NATIVE_DAY = re.compile("|".join(sorted(_NATIVE_DAYS, key=len, reverse=True)))
_AFTER_ONE_SYLLABLE = frozenset("년월일원분초") | frozenset("달시명개살")
"""Units of one syllable that may be written together with a numeral of one syllable: `오년`, `두달`; `사건` is a word."""
_WORDS = frozenset(
    {
        "오일",
        "사원",
        "일원",
        "이원",
        "구원",
        "이분",
        "구분",
        "사분",
        "만일",
        "이명",
        "오명",
        "사명",
        "구명",
        "이시",
        "오시",
        "사시",
        "일시",
        "이개",
        "만개",
    }
)
"""Words that only look like a numeral with its unit."""
_TAIL = re.compile(
    "(?:간|동안|이내|내|이상|이하|미만|초과|안|후|뒤|전|씩|째|가량|정도|쯤|당|마다|짜리|부터|까지)*"
    rf"{ENDING}(?![^\W_])"
)
_LETTER = re.compile(r"[^\W_]")
_DENIED = re.compile(r"\s*(?:이|가|은|는)?\s*(?:아니|아닙|아닌|아님|아녜|아녀)")
_SIGN = re.compile(r"(?:(?<![\w)\]])[-−]|마이너스\s*)$")
_SIGN_LETTERS = 6
"""`마이너스 ` and the letter before it."""
_CURRENCY_SIGNS = {"₩": "원", "$": "달러", "€": "유로", "¥": "엔"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, and where it stands."""

    start: int
    end: int
    value: Fraction
    unit: str
    """Canonical; empty where none was written."""

    @property
    def kind(self) -> str:
        """Quantities of one kind may be compared."""
        return _UNITS[self.unit][0] if self.unit in _UNITS else self.unit

    @property
    def size(self) -> Fraction:
        """The value in the smallest unit of its kind."""
        return self.value * (_UNITS[self.unit][1] if self.unit in _UNITS else 1)


def canonical_unit(unit: str) -> str | None:
    """The unit as quantities name it; None for one that is not known."""
    return _CANONICAL.get(unicodedata.normalize("NFKC", unit).strip().casefold())


def units() -> list[str]:
    """All canonical units."""
    return list(_SPELLINGS)


def folded(text: str) -> str:
    """Half-width, composed, lower case, no commas inside numbers, one space between words: where quantities are read."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(?<![^\W_])만 ?(?=\d+ ?(?:세|살))", "", text)
    text = re.sub(r"(영하|영상|섭씨) ?(\d+(?:\.\d+)?) ?도(?=[^가-힣]|$|입니|이)", _celsius, text)
    return unicodedata.normalize("NFKC", text).strip()


def _celsius(match: re.Match[str]) -> str:
    return ("-" if match[1] == "영하" else "") + match[2] + "°c"


@lru_cache(maxsize=4096)
def quantities(text: str) -> tuple[Quantity, ...]:
    """All quantities of a text that `folded` made, in their order; a bare number only where it is written in digits."""
    return tuple(_read(text))


def _read(text: str) -> Iterator[Quantity]:
    position = 0
    while position < len(text):
        quantity = _quantity_at(text, position) if _may_begin(text, position) else None
        if quantity is None:
            position = _next_word(text, position)
        else:
            yield _signed(text, quantity)
            position = quantity.end


def _may_begin(text: str, position: int) -> bool:
    """A numeral does not begin inside a word; digits may follow letters of Hangul."""
    if position == 0:
        return True
    before, first = text[position - 1], text[position]
    if first.isdecimal():
        return not (before.isdecimal() or (before == "." and position > 1 and text[position - 2].isdecimal()))
    return not before.isalnum() or before in "제약총각매"


def _next_word(text: str, position: int) -> int:
    """Where to look on: behind a run of digits, else one character on."""
    if text[position].isdecimal():
        while position < len(text) and (text[position].isdecimal() or text[position] == "."):
            position += 1
        return position
    return position + 1


def _quantity_at(text: str, start: int, depth: int = 0) -> Quantity | None:
    if named := _NATIVE_DAY.match(text, start):
        number, unit = _NATIVE_DAYS[named.group()]
        if _TAIL.match(text, named.end()):
            return Quantity(start, named.end(), Fraction(number), unit)
    readings = numerals_at(text, start)
    for reading in readings:
        found = _with_unit(text, start, reading, depth)
        if found is not None:
            return found
    for reading in readings:
        if reading.has_digits and not reading.reaches_trillions and _TAIL.match(text, reading.end):
            return Quantity(start, reading.end, reading.value, _CURRENCY_SIGNS.get(text[start - 1 : start], ""))
    return None


def _with_unit(text: str, start: int, reading: Numeral, depth: int) -> Quantity | None:
    # `3만여 명`
    number_end = reading.end + (text[reading.end : reading.end + 1] == "여" and reading.value >= 10)
    gap = text[number_end : number_end + 1] == " "
    match = _UNIT.match(text, number_end + gap)
    if match is None:
        return None
    unit = _CANONICAL[match.group()]
    if reading.reaches_trillions and unit not in _MONEY:
        return None
    if not reading.has_digits and not _is_spelt_out(text[start : reading.end], match.group(), gap):
        return None
    if unit == "℃" or _TAIL.match(text, match.end()) or not _LETTER.match(text, match.end()):
        return Quantity(start, match.end(), reading.value, unit)
    # written together with the next quantity: `3시30분`, `2026년3월`
    if depth < 4 and _quantity_at(text, match.end(), depth + 1) is not None:
        return Quantity(start, match.end(), reading.value, unit)
    return None


def _is_spelt_out(numeral: str, unit: str, gap: bool) -> bool:
    """Letters are meant as a numeral with its unit: not `사건`, a matter, nor `이 건`, this matter."""
    if gap:
        return numeral != "이"
    if len(numeral) > 1 or len(unit) > 1:
        return True
    return unit in _AFTER_ONE_SYLLABLE and numeral + unit not in _WORDS


def _signed(text: str, quantity: Quantity) -> Quantity:
    begin = max(0, quantity.start - _SIGN_LETTERS)
    sign = _SIGN.search(text[begin : quantity.start])
    if sign is None:
        return quantity
    return Quantity(begin + sign.start(), quantity.end, -quantity.value, quantity.unit)


def is_denied(text: str, quantity: Quantity) -> bool:
    """`3일이 아니라`: the quantity is named in order to deny it."""
    return _DENIED.match(text, quantity.end) is not None


def in_range(text: str, quantity: Quantity) -> bool:
    """One end of `3~5일`."""
    before, after = (
        text[max(0, quantity.start - 8) : quantity.start].rstrip(),
        text[quantity.end : quantity.end + 8].lstrip(),
    )
    return bool(re.search(r"\d\D{0,2}[~∼〜-]$", before)) or bool(re.match(r"[~∼〜-]\s?\d", after))
