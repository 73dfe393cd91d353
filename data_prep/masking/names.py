"""Person names from their surroundings: a title behind, a label before, a self-introduction, or a possessive.

A Korean name of three syllables looks like thousands of ordinary words, so a name is only taken where its
surroundings say that a person is meant. Names in the middle of a story are left to the model of running_text.py.
Names that are found once are masked wherever else they stand in the same row.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SURNAMES = (
    "김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민류나진지엄채원천방공현함변염여"
    "추도소석선설마길연위표명기반라왕금옥육인맹제모탁국어은편용"
)
DOUBLE_SURNAMES = ("남궁", "황보", "제갈", "사공", "선우", "서문", "독고")
_FREQUENT_SURNAMES = frozenset("김박최윤홍황권송류곽")
"""Surnames with which few ordinary words begin; these few are in not_names.txt."""

_NAME = rf"(?:(?:{'|'.join(DOUBLE_SURNAMES)})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}})"
_PARTICLES = (
    "은|는|이|가|을|를|의|에게서|에게|에|께서|께|와|과|랑|이랑|도|만|로|으로|라고|이라고|라는|이라는|라며|이라며|"
    "입니다|이며|이고|인데|이에요|예요|이라|님|님의|님이|님은|님께|씨|씨의|씨가|씨는|고객|고객님|또는|및"
)
TITLES = (
    "고객님|님|씨(?!앗|름|족|줄|감|알)|선생님|여사|어르신|기사님|회장|사장|대표이사|대표(?!적|자|번호|전화|하|로|되|성|단)|"
    "이사장|이사(?!회|철|를|한|하|할|비|업|짐)|전무|상무|본부장|처장|부장(?!님?[가-힣]{3})|실장|팀장|(?<!주)차장|과장(?!된|되|하|해|광고)|"
    "대리(?!점|인|권|운전|석|하|만족|수령|신청|처방)|주임|주무관|사무관|서기관|계장|반장|소장(?!품|하|된|한)|지사장|센터장|조장(?!하|되)|"
    "변호사|판사|대법관|노무사|세무사|교수(?!법|진|학)|박사|의원(?!실|회|급|입원|을\\s?방문)|"
    "장관|차관|위원장|위원(?!회)|조사관|감독관|경위|순경|소방관"
)
LABELS = (
    "성명|이름|성함|담당자|담당|신청인|신청자|민원인|고객명|예금주|대표자|작성자|보호자|청구인|피해자|운전자|계약자|"
    "수취인|수신인|발신인|받는\\s?사람|받는\\s?분|보내는\\s?사람|보내는\\s?분|상담원|책임자|환자|차주|소유자|명의자|"
    "채무자|채권자|피상속인|상속인|진정인|고소인|피고인|원고|피고|고객|점검자|확인자|결재자|기안자|검토자|면담자|목격자"
)
_PERSONAL = (
    "주민등록번호|주민번호|외국인등록번호|전화번호|휴대전화|휴대폰|핸드폰|연락처|이메일|전자우편|메일\\s?주소|계좌번호|계좌|"
    "여권번호|여권|운전면허|면허번호|차량번호|차량\\s?번호|카드번호|카드|생년월일|생일|주소|집\\s?주소|나이|개인정보|병력|진료|급여|"
    "월급|연봉|인사기록|근무\\s?평정|사번|민원|신청서|접수번호|환불|차량|번호"
)

_AFTER_LABEL = re.compile(
    rf"(?<![가-힣])(?:{LABELS})(?P<link>\s*[:=]\s*|(?P<particle>은|는|이|가)?\s+|\s*\(\s*)(?P<run>[가-힣]{{2,9}})"
)
_BEFORE_TITLE = re.compile(rf"(?<![가-힣])(?P<name>{_NAME})\s?(?P<title>{TITLES})")
_COPULA = re.compile("(?:이)?(?:입니다|고|며|라고|라는|인데|에요|예요|님|씨)")
_INTRODUCTION = re.compile(
    rf"(?:(?<![가-힣])(?:저는|나는|제가|전|본인은)\s+(?:[가-힣]{{2,8}}(?:에|에서)?\s+(?:사는|근무하는|다니는|일하는)\s+)?|(?:이름은|성함은|성명은)\s*)"
    rf"(?P<name>{_NAME})(?=(?:이)?(?:입니다|이고|이며|라고|라는|인데|에요|예요|합니다))"
    rf"|(?<![가-힣])(?P<named>{_NAME})(?=(?:이)?(?:라고|라는)\s?(?:합니다|하는데|해요|하며|불러|이름|사람|분|직원|고객))"
)
_POSSESSIVE = re.compile(rf"(?<![가-힣])(?P<name>{_NAME})(?:님)?의\s+(?:{_PERSONAL})")
_BEFORE_IDENTIFIER = re.compile(rf"(?<![가-힣])(?P<name>{_NAME})\s?(?:님|씨)?\s?[(,:/]?\s?\x00")
"""\\x00 stands where another recogniser found a number."""
_SPACED_NAME = re.compile(rf"(?<![가-힣])(?:{LABELS})\s*[:=]\s*(?P<name>[{SURNAMES}]\s[가-힣]\s[가-힣])(?![가-힣])")

_NEVER_LAST = frozenset("를을는에의가와과로께며면뿐씩째쯤다게적들으받야여")
"""No given name ends so; a noun with its particle does."""
_PERHAPS_PARTICLE = frozenset("은이도만고서인한된할던")
"""Given names end so (하은, 정도, 재만, 민서), and nouns with particles too: decided by the surname."""
_RARE_SURNAMES = frozenset("위기어국은편용표연길맹제모탁금옥설석변추선")
"""Surnames of few people and the first syllable of many words: taken after a label only where a colon follows it."""
_ORGANISATIONAL_LAST = frozenset("팀과처실국부청단층당")


@dataclass(frozen=True, slots=True)
class FoundName:
    """Where a name stands."""

    start: int
    end: int
    score: float
    spreads: bool = True
    """Its other occurrences in the row are masked too."""


def find_names(text: str) -> Iterator[FoundName]:
    """Names whose surroundings give them away. \\x00 in the text stands for identifiers found before."""  # noqa: D301
    for match in _AFTER_LABEL.finditer(text):
        found = _name_of_run(match["run"], certain=":" in match["link"] or "=" in match["link"])
        # `담당자는 김민수입니다` says who it is; `피해자가 심리적으로 …` goes on with any word
        if found and (match["particle"] is None or _COPULA.match(match["run"][len(found) :])):
            start = match.start("run")
            yield FoundName(start, start + len(found), 0.8)
    for match in _BEFORE_TITLE.finditer(text):
        spaced = text[match.end("name")] == " "
        if is_name(match["name"]) and (
            not spaced or match["title"] in {"씨", "님"} or not _reads_as_word(match["name"])
        ):
            yield FoundName(*match.span("name"), 0.8)
    for match in _INTRODUCTION.finditer(text):
        group = "name" if match["name"] else "named"
        if is_name(match[group]) and not _reads_as_word(match[group]):
            yield FoundName(*match.span(group), 0.8)
    for pattern in (_POSSESSIVE, _BEFORE_IDENTIFIER):
        for match in pattern.finditer(text):
            if is_name(match["name"]) and not _reads_as_word(match["name"]):
                yield FoundName(*match.span("name"), 0.8)
    for match in _SPACED_NAME.finditer(text):
        yield FoundName(*match.span("name"), 0.7)


def is_name(word: str) -> bool:
    """The word has a name's form and is no ordinary word of the list."""
    if word in _ordinary_words() or word[-1] in _NEVER_LAST or word[-1] in _ORGANISATIONAL_LAST:
        return False
    if word.startswith(DOUBLE_SURNAMES):
        return 3 <= len(word) <= 4
    return len(word) == 3 and word[0] in SURNAMES


def is_ordinary(word: str) -> bool:
    """The word is one of the list of ordinary words."""
    return word in _ordinary_words()


def occurrences(name: str, text: str) -> Iterator[FoundName]:
    """Every place where a name that is known to be one begins a word, whatever particle follows."""
    for match in re.finditer(rf"(?<![가-힣]){re.escape(name)}", text):
        yield FoundName(match.start(), match.end(), 0.75)


def _reads_as_word(name: str) -> bool:
    return name[-1] in _PERHAPS_PARTICLE and name[0] not in _FREQUENT_SURNAMES


def _name_of_run(run: str, *, certain: bool) -> str | None:
    """The name at the start of a Korean word, if what follows it is a particle or nothing."""
    for length in (4, 3):
        name, rest = run[:length], run[length:]
        if len(name) < length or (length == 4 and not name.startswith(DOUBLE_SURNAMES)):
            continue
        if not is_name(name) or (rest and not re.fullmatch(rf"(?:{_PARTICLES}|{TITLES})+[가-힣]{{0,2}}", rest)):
            continue
        if certain or (name[0] not in _RARE_SURNAMES and (rest or not _reads_as_word(name))):
            return name
    if certain and len(run) == 2 and run[0] in SURNAMES and run not in _ordinary_words():
        return run
    return None


@lru_cache(maxsize=1)
def _ordinary_words() -> frozenset[str]:
    lines = Path(__file__).with_name("not_names.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
