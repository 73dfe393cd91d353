"""Recognisers of Korean identifiers for Presidio.

Presidio's own Korean recognisers and its generic ones mark word borders with a "word boundary", which does not exist between a
digit and a Korean particle (`…@example.kr입니다`), accept every 12-digit timestamp as a driving licence, and cannot see
context without a language model. These borders are spelt out with look-arounds over ASCII, and context words are part
of the pattern (the `regex` library allows look-behinds of any length).

A number of the right form is masked even where its checksum or date is impossible: people mistype, and since
October 2020 resident numbers carry no checksum. Checksums serve to accept numbers without hyphens.
"""

from typing import Any

import regex  # type: ignore[import-untyped]  # no stubs installed
from presidio_analyzer import Pattern, PatternRecognizer

from contracts.enums import PersonalDataKind

LANGUAGE = "ko"
"""The language under which Presidio knows our recognisers."""

FLAGS = regex.ASCII | regex.IGNORECASE

_START = r"(?<![0-9A-Za-z])(?<![0-9][-.,/])"
"""Not inside a longer number or word."""
_END = r"(?![0-9])(?!-[0-9])"
_DASH = r"\s?-\s?"


def _after(words: str, gap: int = 16) -> str:
    """Stands shortly after one of the words, in the same sentence."""
    return rf"(?<=(?:{words})[^0-9\n]{{0,{gap}}})"


class KoreanIdentifier(PatternRecognizer):  # type: ignore[misc]  # Presidio is imported untyped
    """Presidio's pattern recogniser, with the kind of data as its entity."""

    def __init__(self, kind: PersonalDataKind, *patterns: tuple[str, float]) -> None:
        super().__init__(
            supported_entity=kind.name,
            name=f"Korean{kind.name.title().replace('_', '')}Recognizer",
            supported_language=LANGUAGE,
            patterns=[Pattern(f"{kind.name} {number}", text, score) for number, (text, score) in enumerate(patterns)],
            global_regex_flags=FLAGS,
            country_code="kr",
        )


class BareResidentNumber(KoreanIdentifier):
    """Resident and foreigner registration numbers without a hyphen, and without a word that announces them."""

    def invalidate_result(self, pattern_text: str) -> bool | None:
        """Thirteen digits count only with a possible date and a right checksum."""
        numbers = [int(character) for character in pattern_text]
        month, day = numbers[2] * 10 + numbers[3], numbers[4] * 10 + numbers[5]
        weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
        total = sum(weight * number for weight, number in zip(weights, numbers, strict=False))
        # foreigner numbers until 2020 add 2 to the check digit
        right = {(11 - total % 11) % 10, (13 - total % 11) % 10}
        return not (1 <= month <= 12 and 1 <= day <= 31 and numbers[12] in right)


class CardNumber(KoreanIdentifier):
    """Payment cards: four groups of four, or sixteen digits with Luhn's checksum."""

    def invalidate_result(self, pattern_text: str) -> bool | None:
        """Ungrouped digits count only with a right checksum."""
        if not pattern_text.isdigit():
            return None
        total = 0
        for place, character in enumerate(reversed(pattern_text)):
            number = int(character) * (1 + place % 2)
            total += number - 9 if number > 9 else number
        return total % 10 != 0


class AccountNumber(KoreanIdentifier):
    """Bank accounts have no common form: ten to sixteen digits in groups, shortly after a word of banking."""

    def invalidate_result(self, pattern_text: str) -> bool | None:
        """Dates and short numbers are no accounts."""
        return not 10 <= sum(character.isdigit() for character in pattern_text) <= 16


class IpAddress(KoreanIdentifier):
    """IPv4 addresses."""

    def invalidate_result(self, pattern_text: str) -> bool | None:
        """Four single digits are a version or a section number; a part above 255 is no address."""
        parts = [int(part) for part in pattern_text.split(".")]
        return max(parts) > 255 or max(parts) < 10


_BANKING = "계좌|은행|뱅크|농협|수협|신협|새마을금고|우체국|저축|입금|송금|이체|예금주|account"
_PLATE_LETTERS = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주바사아자허하호배육해공국합"
_REGIONS = "서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주"
_NOT_AN_AMOUNT = r"(?!\s?(?:원|만|억|천|조|건|명|%|년|개|호|점))"
_AREA = "(?:2|[3-6][1-5]|44|70|50[0-9]?|80)"


def recognisers() -> list[Any]:
    """All recognisers of identifiers; each knows one kind."""
    kind = PersonalDataKind
    resident, foreigner = "[0-49]", "[5-8]"
    not_corporate = r"(?<!법인(?:등록)?\s?번호[^0-9\n]{0,8})"
    return [
        KoreanIdentifier(
            kind.RESIDENT_NUMBER,
            (rf"{not_corporate}{_START}[0-9]{{6}}{_DASH}{resident}[0-9]{{6}}{_END}", 0.95),
            (rf"{_START}[0-9]{{6}}{_DASH}[0-9][0-9]{{0,5}}[*xX●○]{{1,6}}", 0.95),
            (rf"{_after('주민(?:등록)?(?:번호)?')}[0-9]{{6}}[-. ]{{0,3}}[0-9]{{7}}{_END}", 0.97),
        ),
        KoreanIdentifier(
            kind.FOREIGNER_NUMBER,
            (rf"{not_corporate}{_START}[0-9]{{6}}{_DASH}{foreigner}[0-9]{{6}}{_END}", 0.95),
            (rf"{_after('외국인(?:등록)?번호|국내거소신고번호')}[0-9]{{6}}[-. ]{{0,3}}[0-9]{{7}}{_END}", 0.98),
        ),
        BareResidentNumber(kind.RESIDENT_NUMBER, (rf"{_START}[0-9]{{6}}{resident}[0-9]{{6}}{_END}", 0.9)),
        BareResidentNumber(kind.FOREIGNER_NUMBER, (rf"{_START}[0-9]{{6}}{foreigner}[0-9]{{6}}{_END}", 0.9)),
        KoreanIdentifier(
            kind.PASSPORT_NUMBER,
            (r"(?<![0-9A-Za-z])[MSRODG](?!20[0-9]{2}[01][0-9][0-3][0-9])[0-9]{8}(?![0-9A-Za-z])", 0.8),
            (r"(?<![0-9A-Za-z])[MSRODG][0-9]{3}[A-Z][0-9]{4}(?![0-9A-Za-z])", 0.8),
            (rf"{_after('여권|passport')}[A-Z]{{1,2}}[0-9]{{7,8}}(?![0-9A-Za-z])", 0.9),
        ),
        KoreanIdentifier(
            kind.DRIVER_LICENCE_NUMBER,
            (rf"{_START}[0-9]{{2}}{_DASH}[0-9]{{2}}{_DASH}[0-9]{{6}}{_DASH}[0-9]{{2}}{_END}", 0.9),
            (
                rf"{_after('면허')}(?:(?:{_REGIONS})\s?)?[0-9]{{2}}[- ]?[0-9]{{2}}[- ]?[0-9]{{6}}[- ]?[0-9]{{2}}{_END}",
                0.9,
            ),
            (rf"(?:{_REGIONS})\s?[0-9]{{2}}\s?-\s?[0-9]{{6}}\s?-\s?[0-9]{{2}}{_END}", 0.9),
        ),
        KoreanIdentifier(
            kind.BUSINESS_NUMBER,
            (rf"{_START}[0-9]{{3}}{_DASH}[0-9]{{2}}{_DASH}[0-9]{{5}}{_END}", 0.85),
            (rf"{_after('사업자(?:등록)?(?:번호)?')}[0-9]{{10}}{_END}", 0.85),
        ),
        KoreanIdentifier(
            kind.PHONE_NUMBER,
            (rf"{_START}01[016789][-.\s]{{0,2}}[0-9*]{{3,4}}[-.\s]{{0,2}}[0-9*]{{4}}{_END}", 0.92),
            (
                rf"(?<![0-9])\+?82[-.\s]{{0,2}}\(?0?\)?{_AREA}[-.)\s]{{0,2}}[0-9]{{3,4}}[-.\s]{{0,2}}[0-9]{{4}}{_END}",
                0.92,
            ),
            (
                rf"(?<![0-9])\+?82[-.\s]{{0,2}}\(?0?\)?1[016789][-.)\s]{{0,2}}[0-9]{{3,4}}[-.\s]{{0,2}}[0-9]{{4}}{_END}",
                0.92,
            ),
            (rf"{_START}(?:\(0{_AREA}\)|0{_AREA}(?:\)|\s?[-.]))\s?[0-9]{{3,4}}\s?[-.]\s?[0-9]{{4}}{_END}", 0.9),
            (
                rf"{_after('전화|연락처|휴대|핸드폰|팩스|fax|tel|☎')}(?:\(0[0-9]{{1,2}}\)|0[0-9]{{1,2}}\)?)[-.\s]{{0,2}}[0-9]{{3,4}}[-.\s]{{0,2}}[0-9]{{4}}{_END}",
                0.93,
            ),
        ),
        KoreanIdentifier(
            kind.EMAIL,
            (
                r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++\s?(?:@|\(at\)|\[at\]|골뱅이)\s?"
                r"[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
                0.95,
            ),
        ),
        CardNumber(
            kind.CARD_NUMBER,
            (rf"{_START}[0-9]{{4}}[-\s][0-9*xX]{{4}}[-\s][0-9*xX]{{4}}[-\s][0-9*xX]{{4}}{_END}", 0.94),
            (rf"{_START}3[47][0-9]{{2}}[-\s][0-9]{{6}}[-\s][0-9]{{5}}{_END}", 0.94),
            (rf"{_START}[2-6][0-9]{{15}}{_END}", 0.9),
        ),
        AccountNumber(
            kind.ACCOUNT_NUMBER,
            (rf"{_after(_BANKING, 20)}[0-9]{{2,7}}(?:[-\s][0-9]{{1,8}}){{1,4}}{_END}{_NOT_AN_AMOUNT}", 0.7),
            (rf"{_after(_BANKING, 20)}[0-9]{{10,16}}{_END}{_NOT_AN_AMOUNT}", 0.7),
        ),
        IpAddress(
            kind.IP_ADDRESS,
            (
                r"(?<![0-9.])(?<!버전\s?)(?<!v)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9])(?!\.[0-9])",
                0.6,
            ),
        ),
        KoreanIdentifier(
            kind.CAR_PLATE,
            (
                rf"(?<![0-9가-힣])(?:(?:{_REGIONS})\s?)?[0-9]{{2,3}}[{_PLATE_LETTERS}][0-9]{{4}}{_END}(?!\s?(?:원|만|억|천|조|건|명|%|년))(?![./])",
                0.8,
            ),
            (
                rf"(?<![0-9.])(?<!제\s?)(?:(?:{_REGIONS})\s?)?[0-9]{{2,3}}[{_PLATE_LETTERS}]\s(?!(?:19|20)[0-9]{{2}}(?![0-9]))"
                rf"[0-9]{{4}}{_END}{_NOT_AN_AMOUNT}(?!\s?[./~])",
                0.7,
            ),
        ),
    ]
