"""One way of writing a Korean short answer: two answers that differ in spelling only get the same form.

Characters are composed and half-width, letters lower case. Numerals are digits (`삼십 일` → `30일`, `1만 5천원` →
`15000원`, `사흘` → `3일`), units have one spelling (`퍼센트` → `%`, `두 달` → `2개월`, `5년간` → `5년`), dates and times
one shape (`2026-03-01`, `2026.3.1.`, `'26. 3. 1.(일)` → `2026년3월1일`, `오후 3:30` → `15시30분`). Marks are left out.
"""

import re
from fractions import Fraction
from functools import lru_cache

from evaluation.answer_scoring import ENDING, normalise_answer
from evaluation.scorers.numerals import numerals_at
from evaluation.scorers.quantities import Quantity, folded, quantities

_LEAD_IN = re.compile(r"^(?:정답|답변|답)(?: ?[:은는]| ?=) ?(?=\S)")
_WEEKDAY = r"(?: ?\([월화수목금토일](?:요일)?\))?"
_DATE_IN_WORDS = re.compile(r"(?<!\d)['’]?(\d{4}|\d{2})년 ?0?(\d{1,2})월 ?0?(\d{1,2})일" + _WEEKDAY)
_DATE_IN_DIGITS = re.compile(
    r"(?<![\d.\-/])['’]?(\d{4}|\d{2})(?:(\. ?)(\d{1,2})\. ?(\d{1,2})(?:\.(?!\d))?|(?<=\d{4})([-/])(\d{1,2})\5(\d{1,2}))(?!\.?\d|[\-/])"
    + _WEEKDAY
)
_MONTH_IN_WORDS = re.compile(r"(?<!\d)(\d{4})년 ?0?(\d{1,2})월(?! ?\d)")
_MONTH_IN_DIGITS = re.compile(r"(?<![\d.\-/])(\d{4})(?:\. ?(\d{1,2})\.(?! ?\d)|[-/](\d{1,2})(?![\d\-/]))")
_DAY_IN_DIGITS = re.compile(r"(?<![\d.])(\d{1,2})\. ?(\d{1,2})\.(?! ?\d)")
_DAY_IN_WORDS = re.compile(r"(?<!\d)0?(\d{1,2})월 ?0?(\d{1,2})일")
_CLOCK = re.compile(r"(?:(오전|오후) ?)?(?<![\d:])(\d{1,2})(?::(\d{2})(?![\d:])|시(?!간)(?: ?(\d{1,2})분)?)")
_FIRST_YEAR_OF_THE_1900S = 70
"""Two digits from here on are a year of the last century."""
_MOST_PASSES = 5


@lru_cache(maxsize=8192)
def normal_form(text: str) -> str:
    """The form; the same again for what it gives."""
    form = _once(text)
    for _ in range(_MOST_PASSES):
        again = _once(form)
        if again == form:
            break
        form = again
    return form


def comparable(text: str) -> str:
    """The normal form without spaces, save between digits: `고객 지원 센터` equals `고객지원센터`."""
    return re.sub(r" (?!\d)|(?<!\d) ", "", normal_form(text))


def is_followed_by_an_ending(answer: str, accepted: str) -> bool:
    """`answer` is `accepted` with nothing but particles and the copula after it; both made by `comparable`."""
    return bool(accepted) and answer.startswith(accepted) and _ENDING.fullmatch(answer, len(accepted)) is not None


def _once(text: str) -> str:
    text = _LEAD_IN.sub("", folded(text))
    text = _with_dates(_with_quantities(_with_dates(text)))
    return normalise_answer(_CLOCK.sub(_clock, text))


def _with_quantities(text: str) -> str:
    found = quantities(text)
    if not found and (whole := _whole_numeral(text)) is not None:
        return whole
    parts: list[str] = []
    position = 0
    for quantity in found:
        parts += [text[position : quantity.start], _written(text, quantity)]
        position = quantity.end
    return "".join([*parts, text[position:]])


def _whole_numeral(text: str) -> str | None:
    """`삼십오입니다` → `35`: a numeral of several letters that is the whole answer."""
    for reading in numerals_at(text, 0):
        is_number = reading.syllables > 1 and not reading.has_digits and not reading.reaches_trillions
        if is_number and not _WORD.match(text[: reading.end]) and _LAST_ENDING.fullmatch(text, reading.end):
            return _decimal(reading.value)
    return None


def _written(text: str, quantity: Quantity) -> str:
    number, is_negative = _decimal(abs(quantity.value)), quantity.value < 0
    as_it_stands = text[quantity.start : quantity.end]
    is_plain = not quantity.unit and not is_negative and as_it_stands.isascii()
    if number is None or is_plain:
        return as_it_stands
    unit = "도" if quantity.unit == "℃" else quantity.unit
    if _ABOUT.search(as_it_stands):
        unit = "여" + unit
    return ("마이너스" if is_negative else "") + number + unit


def _decimal(value: Fraction) -> str | None:
    """The value in digits; None where decimals have no end."""
    rest = value.denominator
    places = 0
    while rest % 10 == 0 or rest % 5 == 0 or rest % 2 == 0:
        rest //= 10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2
        places += 1
    if rest != 1:
        return None
    if not places:
        return str(value.numerator)
    whole, part = divmod(value.numerator * 10**places // value.denominator, 10**places)
    return f"{whole}.{part:0{places}d}".rstrip("0").rstrip(".")


def _with_dates(text: str) -> str:
    for pattern, rewrite in _REWRITES:
        text = pattern.sub(rewrite, text)
    return text


def _year(digits: str) -> int:
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (1900 if int(digits) >= _FIRST_YEAR_OF_THE_1900S else 2000)


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _date(match: re.Match[str]) -> str:
    year, month, day = (part for part in match.groups() if part is not None and part.isdecimal())
    return f"{_year(year)}년{int(month)}월{int(day)}일" if _is_day(month, day) else match.group()


def _month(match: re.Match[str]) -> str:
    year, month = (part for part in match.groups() if part is not None)
    return f"{year}년{int(month)}월" if _is_day(month, "1") else match.group()


def _day(match: re.Match[str]) -> str:
    month, day = match.groups()
    return f"{int(month)}월{int(day)}일" if _is_day(month, day) else match.group()


def _clock(match: re.Match[str]) -> str:
    half, hour, minute = match[1], int(match[2]), int(match[3] or match[4] or 0)
    if hour > 24 or minute > 59 or (half and not 1 <= hour <= 12):
        return match.group()
    if half:
        hour = hour % 12 + (12 if half == "오후" else 0)
    return f"{hour}시{minute}분" if minute else f"{hour}시"


_ABOUT = re.compile(r"[십백천만억\d]여 ?[^\W\d]")
_ENDING = re.compile(ENDING)
_WORD = re.compile("[백천만][일이삼사오육칠팔구]$")
"""`만일`, `천사`, `백일`: words more often than numbers."""
_LAST_ENDING = re.compile(ENDING + r"[\s.!]*")
_REWRITES = (
    (_DATE_IN_WORDS, _date), (_DATE_IN_DIGITS, _date), (_MONTH_IN_WORDS, _month), (_MONTH_IN_DIGITS, _month),
    (_DAY_IN_DIGITS, _day), (_DAY_IN_WORDS, _day),
)  # fmt: skip
