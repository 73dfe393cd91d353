"""Recognisers of Korean identifiers, as Presidio's classes.

Presidio's own Korean recognisers and its generic ones mark word borders with a "word boundary", which does not exist between a
digit and a Korean particle (`…@example.kr입니다`), accept every 12-digit timestamp as a driving licence, and cannot see
context without a language model. These spell borders out with look-arounds over ASCII, and read the nearest label before
a number (`labels`) and a few words behind it.

A number of the right form is masked even where its checksum or date is impossible: people mistype, and since
October 2020 resident numbers carry no checksum. Checksums serve to accept numbers without separators, and to tell what
looks alike apart.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from itertools import cycle

from contracts.enums import PersonalDataKind
from data_prep.masking.labels import Meaning
from data_prep.masking.recogniser import LONG_NUMBER, NOT_GOING_ON, NOT_INSIDE, Candidate, Find, KoreanRecogniser, form

NOT_JOINED = r"(?<![0-9])(?<![0-9]-)"
"""Before a number with separators: a dot or a comma before it ends another number or a sentence."""
DASH = r"(?:\s?[-./~_:]\s?|\s{1,2})"
MASK = r"*xX#ㅇ"

REGIONS = "서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주"
AMOUNT_UNITS = r"\s?(?:원|만|억|천|조(?![가-힣])|건|명|%|년|개|호선|점|달러|\$|회|배|km|kg|m(?![a-z])|㎡|톤|주(?![가-힣])|포인트|시간|분(?![가-힣])|초)"
_AMOUNT = re.compile(AMOUNT_UNITS)


def recognisers(*, representative_numbers: bool = False) -> list[KoreanRecogniser]:
    """All recognisers of identifiers.

    Numbers such as 1588-1234 belong to organisations and are found only on demand.
    """
    return [
        _resident_numbers(),
        _phone_numbers(representative_numbers=representative_numbers),
        _emails(),
        _cards(),
        _accounts(),
        _business_numbers(),
        _passports(),
        _licences(),
        _plates(),
        _ip_addresses(),
    ]


# ---- resident and foreigner registration numbers


def _resident_numbers() -> KoreanRecogniser:
    hidden = rf"[0-9{MASK}]"
    return KoreanRecogniser(
        "KoreanResidentNumbers",
        [PersonalDataKind.RESIDENT_NUMBER, PersonalDataKind.FOREIGNER_NUMBER],
        [
            r"[0-9]{2}[-./]?[0-9]{2}[-./]?[0-9*xX]{2}[-./~_:\s]{0,3}[0-9][0-9*xXㅇ#]{5,6}",
            r"[0-9*xX]{6}\s?[-./~_:\s]\s?[0-9*xXㅇ#]",
            r"뒤\s?자리|뒷\s?자리|뒷\s?번호|뒤\s?번호",
        ],
        [
            form(rf"{NOT_JOINED}[0-9]{{6}}{DASH}[0-9]{{7}}{NOT_GOING_ON}", _judge_resident_pair),
            form(rf"{NOT_INSIDE}[0-9]{{13}}{NOT_GOING_ON}", _judge_thirteen_digits),
            form(
                rf"{NOT_JOINED}(?:19|20)?[0-9]{{2}}[-./][0-9]{{2}}[-./][0-9]{{2}}\s?[-~/]\s?[0-9]{{7}}{NOT_GOING_ON}",
                _judge_resident_pair,
            ),
            form(
                rf"{NOT_JOINED}[0-9]{{4}}[0-9{MASK}]{{2}}{DASH}(?=[0-9]?{hidden}{{0,6}}[{MASK}]){hidden}{{3,7}}(?![0-9{MASK}])",
                _judge_hidden_resident,
            ),
            form(rf"(?<![0-9{MASK}])[{MASK}]{{6}}\s?-\s?[0-9]{{7}}{NOT_GOING_ON}", _judge_hidden_resident),
            form(rf"{NOT_JOINED}[0-9]{{6}}\s?-\s?[0-9](?![0-9{MASK}])(?![-.][0-9])", _judge_resident_start),
            form(
                r"(?:앞\s?(?:자리|번호)?|주민[가-힣 ]{0,8})[^0-9\n]{0,8}(?P<value>[0-9]{6}[^0-9\n]{1,12}뒷?뒤?\s?(?:자리|번호)[^0-9\n]{0,6}[0-9*]{7})(?![0-9])",
                _judge_resident_halves,
            ),
        ],
    )


def _kind_of_resident(gender: str) -> PersonalDataKind:
    return PersonalDataKind.FOREIGNER_NUMBER if gender in "5678" else PersonalDataKind.RESIDENT_NUMBER


def _judge_resident_pair(found: Candidate) -> Find | None:
    digits = found.digits[-13:]
    kind = _kind_of_resident(digits[6])
    if found.is_labelled(Meaning.RESIDENT, Meaning.FOREIGNER):
        if found.is_labelled(Meaning.FOREIGNER) and found.is_closely_labelled(Meaning.FOREIGNER):
            kind = PersonalDataKind.FOREIGNER_NUMBER
        return Find(kind, found.start, found.end, 0.98)
    if found.is_a_code or found.is_closely_labelled(Meaning.CORPORATION):
        return None
    plausible = _possible_birth(digits) and 1930 <= _year_of_birth(digits) <= _YEAR_LIMIT
    if not plausible and found.is_closely_labelled(Meaning.CODE, Meaning.ACCOUNT, Meaning.BANK):
        return None
    if _is_numbered_document(found) or re.match(r"\s?\(?법인", found.after(4)):
        return None
    separator = found.value[6:-7].strip() if len(found.digits) == 13 else "-"
    if separator != "-" and not _possible_birth(digits):
        return None
    if not _resident_checksum(digits) and _corporate_checksum(digits):
        # registry offices begin with the province, and 11, 14, 21, 22, 71 are kinds of corporations
        office, corporation = digits[:2], digits[4:6]
        implausible = not _possible_birth(digits) or _year_of_birth(digits) < 1920
        if implausible or (
            office in {"11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22"}
            and digits[2:4] in {"01", "11"}
            and corporation in {"11", "12", "13", "14", "15", "21", "22", "71"}
        ):
            return None
    return Find(kind, found.start, found.end, 0.95 if _possible_birth(digits) else 0.7)


def _judge_thirteen_digits(found: Candidate) -> Find | None:
    digits = found.digits
    kind = _kind_of_resident(digits[6])
    if found.is_labelled(Meaning.RESIDENT, Meaning.FOREIGNER) and _AMOUNT.match(found.after(4)) is None:
        if found.is_closely_labelled(Meaning.FOREIGNER):
            kind = PersonalDataKind.FOREIGNER_NUMBER
        return Find(kind, found.start, found.end, 0.97)
    if found.latin_before or not _possible_birth(digits) or _AMOUNT.match(found.after(4)):
        return None
    if found.is_a_code or found.is_an_account or found.is_closely_labelled(Meaning.CORPORATION, Meaning.CARD):
        return None
    if _resident_checksum(digits):
        # a bar code of a Korean product that passes both checksums is the likelier reading only next to its label
        return Find(kind, found.start, found.end, 0.9)
    year = _year_of_birth(digits)
    if (
        found.is_labelled(Meaning.CODE)
        or not 1930 <= year <= _YEAR_LIMIT
        or digits.startswith("880")
        or digits[0] == "1"
    ):
        return None
    return Find(kind, found.start, found.end, 0.5)


def _judge_hidden_resident(found: Candidate) -> Find | None:
    value = re.sub(r"[\s\-./~_:]", "", found.value)
    front, back = value[:6], value[6:]
    if (
        len(front) == 6
        and front.isdigit()
        and not _possible_day(front)
        and not found.is_labelled(Meaning.RESIDENT, Meaning.FOREIGNER)
    ):
        return None
    if found.is_a_code or found.is_closely_labelled(Meaning.CORPORATION, Meaning.CARD):
        return None
    kind = PersonalDataKind.RESIDENT_NUMBER
    if back[:1] in {"5", "6", "7", "8"} or found.is_closely_labelled(Meaning.FOREIGNER):
        kind = PersonalDataKind.FOREIGNER_NUMBER
    return Find(kind, found.start, found.end, 0.95)


def _judge_resident_start(found: Candidate) -> Find | None:
    """Birth date and the digit behind the hyphen, where the words before say what it is."""
    if not _possible_birth(found.digits) or not found.is_closely_labelled(Meaning.RESIDENT, Meaning.FOREIGNER):
        return None
    if _AMOUNT.match(found.after(4)):
        return None
    return Find(_kind_of_resident(found.digits[6]), found.start, found.end, 0.8)


def _judge_resident_halves(found: Candidate) -> Find | None:
    digits = found.digits
    return Find(_kind_of_resident(digits[6] if len(digits) > 6 else "1"), found.start, found.end, 0.9)


_YEAR_LIMIT = 2030
"""Nobody is born later, as far as these rules go."""


def _possible_day(front: str) -> bool:
    return 1 <= int(front[2:4]) <= 12 and 1 <= int(front[4:6]) <= 31


def _possible_birth(digits: str) -> bool:
    return _possible_day(digits[:6])


def _year_of_birth(digits: str) -> int:
    century = {"9": 1800, "0": 1800, "1": 1900, "2": 1900, "5": 1900, "6": 1900}.get(digits[6], 2000)
    return century + int(digits[:2])


def _resident_checksum(digits: str) -> bool:
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    total = sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=False))
    # foreigner numbers add 2 to the check digit
    return int(digits[12]) == (13 - total % 11 if digits[6] in "5678" else 11 - total % 11) % 10


def _corporate_checksum(digits: str) -> bool:
    total = sum(weight * int(digit) for weight, digit in zip(cycle((1, 2)), digits[:12], strict=False))
    return int(digits[12]) == (10 - total % 10) % 10


_NUMBERED = re.compile(r"제\s?$")


def _is_numbered_document(found: Candidate) -> bool:
    """`제02-123-4567호`: a document's number."""
    return _NUMBERED.search(found.before(2)) is not None and found.after(1) == "호"


# ---- phones

AREA = r"(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4])"
_GAP = r"[-.\s/·)~_,]{0,3}"
_REST = rf"{_GAP}[0-9{MASK}]{{3,4}}{_GAP}[0-9{MASK}]{{4}}"
_SPELLED = "[공영일이삼사오육륙칠팔구]"


def _phone_numbers(*, representative_numbers: bool) -> KoreanRecogniser:
    forms = [
        form(rf"(?<![0-9])(?<![0-9]-)\(?[0oO]1[016789oO]{_REST}{NOT_GOING_ON}", _judge_mobile),
        form(
            rf"(?<![0-9])(?:\(?\+\s?|00)?82[-.\s)/]{{0,2}}\(?0?\)?[-.\s]{{0,2}}(?:1[016789]|{AREA}|70|50[0-9]?)"
            rf"[-.\s)/]{{0,2}}[0-9{MASK}]{{3,4}}[-.\s/]{{0,2}}[0-9{MASK}]{{4}}{NOT_GOING_ON}",
            _judge_from_abroad,
        ),
        form(
            rf"{NOT_JOINED}\(?0(?:{AREA}|70|80|30|60|50[0-9]?)[-.\s)/~·]{{0,3}}[0-9{MASK}]{{3,4}}[-.\s/~·]{{0,3}}[0-9{MASK}]{{4}}{NOT_GOING_ON}",
            _judge_landline,
        ),
        form(rf"{NOT_JOINED}[1-9][0-9]{{2,3}}\s?-\s?[0-9]{{4}}{NOT_GOING_ON}", _judge_local_number),
        form(rf"{NOT_JOINED}1[016789][-. ]?[0-9]{{4}}[-. ]?[0-9]{{4}}{NOT_GOING_ON}", _judge_mobile_without_zero),
        form(r"(?<![0-9+])\+(?!82)[1-9][0-9]{0,2}(?:[-. ]{0,2}\(?[0-9]{1,4}\)?){2,5}(?![0-9])", _judge_foreign_number),
        form(
            rf"(?<![가-힣])[공영]일[공영일육칠팔구][-.\s에]{{0,2}}(?:{_SPELLED}[-.\s에]{{0,2}}){{6,7}}{_SPELLED}(?!{_SPELLED})",
            lambda found: Find(PersonalDataKind.PHONE_NUMBER, found.start, found.end, 0.9),
        ),
        form(
            rf"{NOT_JOINED}01[016789][-.\s]{{1,2}}{_SPELLED}{{3,4}}[-.\s]{{1,2}}{_SPELLED}{{4}}(?!{_SPELLED})",
            lambda found: Find(PersonalDataKind.PHONE_NUMBER, found.start, found.end, 0.9),
        ),
    ]
    gates = [
        rf"[0oO]1[016789oO]{_GAP}[0-9{MASK}]{{3,4}}{_GAP}[0-9{MASK}]{{4}}",
        rf"82[-.\s()/0]{{0,5}}[1-7][0-9]?[0-9]?[-.\s)/]{{0,2}}[0-9{MASK}]{{3,4}}[-.\s/]{{0,2}}[0-9{MASK}]{{4}}",
        rf"0[2-8][0-9]?[0-9]?[-.\s)/~·]{{0,3}}[0-9{MASK}]{{3,4}}[-.\s/~·]{{0,3}}[0-9{MASK}]{{4}}",
        r"[1-9][0-9]{2,3}\s?-\s?[0-9]{4}",
        r"1[016789][-. ]?[0-9]{4}[-. ]?[0-9]{4}",
        r"\+[1-9][-. ()0-9]{8}",
        r"[공영]일[공영일육칠팔구]",
        rf"01[016789][-.\s]{{1,2}}{_SPELLED}{{3}}",
    ]
    if representative_numbers:
        gates.append(r"1[568][0-9]{2}[-. ]?[0-9]{4}")
        forms.append(form(rf"{NOT_JOINED}1[568][0-9]{{2}}\s?[-. ]\s?[0-9]{{4}}{NOT_GOING_ON}", _judge_representative))
    return KoreanRecogniser(
        "KoreanPhoneNumbers",
        [PersonalDataKind.PHONE_NUMBER],
        gates,
        forms,
        core=rf"{LONG_NUMBER}|[공영]일|01[016789][-.\s]",
    )


_PHONE_PREFIXES = frozenset(
    {
        "t",
        "tel",
        "h",
        "hp",
        "m",
        "mp",
        "mobile",
        "p",
        "phone",
        "c",
        "cell",
        "f",
        "fax",
        "no",
        "call",
        "cp",
        "cphone",
        "n",
    }
)


def _phone(found: Candidate, score: float) -> Find:
    start = found.start
    if found.value.startswith("(") and ")" not in found.value:
        start += 1
    return Find(PersonalDataKind.PHONE_NUMBER, start, found.end, score)


def _glued_to_a_word(found: Candidate) -> bool:
    return bool(found.latin_before) and found.latin_before.strip("_") not in _PHONE_PREFIXES


def _judge_mobile(found: Candidate) -> Find | None:
    value = found.value.strip("(")
    digits = found.digits
    separated = not value.isdigit()
    if _glued_to_a_word(found) or len(digits) + sum(character in "oO" for character in value[:3]) < 6:
        return None
    if separated:
        return _phone(found, 0.93)
    # the block 010 has eight digits behind it; and binary numbers have only two of them
    if digits[:3] != "010" and found.is_a_code:
        return None
    whole = len(digits) == 11 or (len(digits) == 10 and digits[:3] != "010") or found.is_closely_labelled(Meaning.PHONE)
    if not whole or set(digits) <= {"0", "1"} or _AMOUNT.match(found.after(4)):
        return None
    if re.search(r"[0-9][.,]$", found.before(2)) and not found.is_labelled(Meaning.PHONE):
        return None
    return _phone(found, 0.92)


def _judge_from_abroad(found: Candidate) -> Find | None:
    if _glued_to_a_word(found):
        return None
    if found.value.isdigit() and not found.value.startswith("00"):
        # twelve digits that begin with 8210 may also be a product's
        if len(found.digits) != 12 or not found.digits.startswith("8210") or found.is_labelled(Meaning.CODE):
            return None
        return _phone(found, 0.6)
    if not found.value.lstrip("( ").startswith(("+", "00")) and (found.is_a_code or found.is_an_account):
        return None
    return _phone(found, 0.92)


def _judge_landline(found: Candidate) -> Find | None:
    value, digits = found.value.lstrip("("), found.digits
    if _glued_to_a_word(found) or _is_numbered_document(found) or len(digits) < 6:
        return None
    if found.is_closely_labelled(Meaning.PHONE):
        return _phone(found, 0.95)
    if found.is_a_code or _AMOUNT.match(found.after(4)):
        return None
    if found.is_an_account and len(digits) == 11 and not value.startswith("070"):
        return None
    if re.fullmatch(r"[0-9]{6}-[0-9]{4}", value) and _possible_day(value[:6]):
        return None  # a day and a time
    if value.isdigit():
        area = 2 if digits.startswith("02") else 4 if digits.startswith("050") else 3
        # no subscriber's number begins with 0
        subscriber = digits[area:]
        if subscriber[0] == "0" or not 7 <= len(subscriber) <= 8:
            return None
        return _phone(found, 0.55)
    return _phone(found, 0.9 if re.search(r"[-)]", value) else 0.7)


_UNIT_OR_PLACE = re.compile(rf"{AMOUNT_UNITS}|\s?(?:번지|호|년|번\s?국도|번\s?버스|편|항|조)")


def _judge_local_number(found: Candidate) -> Find | None:
    """A number without its area code, right behind a word for phones."""
    first = found.digits[:2]
    if first in {"15", "16", "18"} or not found.is_closely_labelled(Meaning.PHONE) or found.latin_before:
        return None
    if _UNIT_OR_PLACE.match(found.after(5)) or (found.digits[:2] in {"19", "20"} and found.digits[4:6] in {"19", "20"}):
        return None
    return _phone(found, 0.75)


def _judge_mobile_without_zero(found: Candidate) -> Find | None:
    """A spreadsheet has taken the leading zero away."""
    if not found.is_closely_labelled(Meaning.PHONE) or _AMOUNT.match(found.after(4)):
        return None
    return _phone(found, 0.75)


def _judge_foreign_number(found: Candidate) -> Find | None:
    if not 9 <= len(found.digits) <= 15 or _AMOUNT.match(found.after(4)):
        return None
    parts = len(re.findall(r"[0-9]+", found.value))
    if parts < 3 and not found.is_labelled(Meaning.PHONE):
        return None
    return _phone(found, 0.75)


def _judge_representative(found: Candidate) -> Find | None:
    return None if found.is_closely_labelled(Meaning.CODE) or found.latin_before else _phone(found, 0.7)


# ---- e-mail

_PROVIDERS = "네이버|지메일|구글|다음|한메일|한멜|네이트|핫메일|아웃룩|야후|카카오|코리아|아이클라우드|naver|gmail|daum|hanmail|nate|kakao|outlook|hotmail|yahoo|icloud"
_AT = r"(?:\s?@\s?|\s?[(\[{<]\s?(?:at|a|골뱅이|앳|엣|@)\s?[)\]}>]\s?|\s?골뱅이\s?|\s(?:at|앳)\s)"
_DOT = r"(?:\.|\s?[(\[{<]\s?(?:dot|점|닷|\.)\s?[)\]}>]\s?|\s(?:dot|점|닷|쩜)\s?|(?:점|닷|쩜)\s?(?=[a-z]{2})|\s?,(?=(?:com|net|co\.kr|kr)(?![a-z])))"
_TLD = r"(?:[a-z]{2,24}|xn--[a-z0-9-]+|한국|닷컴|컴)"
_FILE_TYPES = frozenset(
    {
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "bmp",
        "ico",
        "js",
        "mjs",
        "ts",
        "tsx",
        "jsx",
        "css",
        "scss",
        "py",
        "json",
        "html",
        "htm",
        "pdf",
        "txt",
        "md",
        "yaml",
        "yml",
        "xml",
        "csv",
        "zip",
        "gz",
        "mp4",
        "mp3",
    }
)


def _emails() -> KoreanRecogniser:
    label = r"[a-z0-9가-힣](?:[a-z0-9가-힣-]*[a-z0-9가-힣])?"
    ascii_label = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
    local = r"(?<![a-z0-9._%+*'-])[a-z0-9*][a-z0-9._%+*'=-]{0,63}"
    return KoreanRecogniser(
        "KoreanEmails",
        [PersonalDataKind.EMAIL],
        [r"(?i)@|골뱅이|[(\[{<]\s?(?:at|a|앳|엣)\s?[)\]}>]|[a-z0-9]\s(?:at|앳)\s[a-z가-힣0-9]"],
        [
            form(rf"{local}{_AT}{ascii_label}(?:{_DOT}{ascii_label}){{0,4}}{_DOT}{_TLD}(?![a-z0-9@])", _judge_email),
            form(
                rf"{local}{_AT}(?:{_PROVIDERS})\s?(?:{_DOT})?\s?(?:닷컴|점컴|컴|닷넷|com|net|co\.kr)(?![a-z0-9])",
                _judge_email,
            ),
            form(rf"{local}@{label}\.(?:{label}\.){{0,3}}(?:한국|com|net|kr|co\.kr)(?![a-z0-9])", _judge_email),
            form(
                rf"\"[^\"\s@]{{1,40}}\"@{ascii_label}(?:\.{ascii_label}){{0,4}}\.[a-z]{{2,24}}(?![a-z0-9@])",
                _judge_email,
            ),
            form(
                rf"(?<![가-힣a-z0-9._%+-])[가-힣]{{2,10}}@{ascii_label}(?:\.{ascii_label}){{0,4}}\.[a-z]{{2,24}}(?![a-z0-9@])",
                _judge_email,
            ),
        ],
        core="",
    )


_LAST_PART = re.compile(r"[a-z0-9가-힣-]+$", re.IGNORECASE)


def _judge_email(found: Candidate) -> Find | None:
    last = _LAST_PART.search(found.value)
    if last is not None and last[0].lower() in _FILE_TYPES:
        return None
    if re.search(r"\s(?:at|앳)\s", found.value, re.IGNORECASE) and not re.search(
        r"dot|닷|점|쩜|\.(?:com|net|org|kr|io)$", found.value, re.IGNORECASE
    ):
        return None
    start = (
        found.start + len(found.value) - len(found.value.lstrip("*")) if set(found.value[:2]) == {"*"} else found.start
    )
    if found.value.startswith("*") and not found.value.startswith("**"):
        start = found.start
    return Find(PersonalDataKind.EMAIL, min(start, found.start), found.end, 0.95)


# ---- cards


def _cards() -> KoreanRecogniser:
    gap = r"(?:\s?[-./]\s?|\s)"
    part = rf"[0-9{MASK}]{{4}}"
    return KoreanRecogniser(
        "KoreanCards",
        [PersonalDataKind.CARD_NUMBER],
        [
            rf"[0-9{MASK}]{{4}}[-./\s]{{0,3}}[0-9{MASK}]{{4}}[-./\s]{{0,3}}[0-9{MASK}]{{4}}[-./\s]{{0,3}}[0-9{MASK}]{{2,4}}",
            rf"3[04-9][0-9{MASK}]{{2}}[-./\s]{{1,3}}[0-9{MASK}]{{6}}[-./\s]{{1,3}}[0-9{MASK}]{{4}}",
            r"[0-9]{6}[-./\s]{1,3}[0-9]{10}",
        ],
        [
            form(rf"{NOT_JOINED}{part}{gap}{part}{gap}{part}{gap}{part}(?![0-9{MASK}])(?!-[0-9])", _judge_grouped_card),
            form(
                rf"{NOT_JOINED}3[47][0-9{MASK}]{{2}}{gap}[0-9{MASK}]{{6}}{gap}[0-9{MASK}]{{5}}{NOT_GOING_ON}",
                _judge_grouped_card,
            ),
            form(rf"{NOT_JOINED}3[0689][0-9]{{2}}{gap}[0-9]{{6}}{gap}[0-9]{{4}}{NOT_GOING_ON}", _judge_digits_of_card),
            form(rf"{NOT_INSIDE}[0-9]{{14,16}}{NOT_GOING_ON}", _judge_digits_of_card),
            form(
                rf"{NOT_JOINED}(?:[0-9]{{8}}{gap}[0-9]{{8}}|[0-9]{{4}}{gap}[0-9]{{12}}|[0-9]{{6}}{gap}[0-9]{{10}}){NOT_GOING_ON}",
                _judge_digits_of_card,
            ),
            form(rf"{NOT_JOINED}[0-9]{{4,6}}[{MASK}]{{5,8}}[0-9]{{2,4}}(?![0-9{MASK}])", _judge_hidden_card),
        ],
    )


def _card(found: Candidate, score: float) -> Find:
    return Find(PersonalDataKind.CARD_NUMBER, found.start, found.end, score)


def _judge_grouped_card(found: Candidate) -> Find | None:
    digits = found.digits
    if len(digits) < 4 or found.latin_before:
        return None
    if len(digits) < 15:
        return None if found.is_a_code or found.is_an_account else _card(found, 0.9)
    if found.is_closely_labelled(Meaning.CARD):
        return _card(found, 0.96)
    if found.is_a_code or _AMOUNT.match(found.after(4)):
        return None
    if luhn(digits) and _issued(digits):
        return None if found.is_an_account else _card(found, 0.94)
    if found.is_labelled(Meaning.ACCOUNT, Meaning.BANK, Meaning.CODE, Meaning.VERSION) or not re.search(
        "[-./]", found.value
    ):
        # four-digit numbers in a row are a table; years are one too
        return None
    parts = re.findall("[0-9]{4}", found.value)
    return None if all(part[:2] in {"19", "20"} for part in parts) else _card(found, 0.8)


def _judge_digits_of_card(found: Candidate) -> Find | None:
    digits = found.digits
    if found.is_closely_labelled(Meaning.CARD) and _AMOUNT.match(found.after(4)) is None:
        return _card(found, 0.9)
    if found.latin_before or not luhn(digits) or not _issued(digits) or _AMOUNT.match(found.after(4)):
        return None
    if found.is_a_code or found.is_an_account:
        return None
    return _card(found, 0.9)


def _judge_hidden_card(found: Candidate) -> Find | None:
    return _card(found, 0.8) if 14 <= len(found.value) <= 16 and found.is_labelled(Meaning.CARD) else None


def luhn(digits: str) -> bool:
    """The check digit of payment cards is right."""
    total = 0
    for place, character in enumerate(reversed(digits)):
        number = int(character) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _issued(digits: str) -> bool:
    """A card of some scheme begins so: what begins with a date of this century is none."""
    two, four = digits[:2], int(digits[:4])
    match len(digits):
        case 16:
            return digits[0] in "4569" or 3528 <= four <= 3589 or 2221 <= four <= 2720
        case 15:
            return two in {"34", "37"}
        case 14:
            return two in {"36", "38", "39"} or 3000 <= four <= 3059
        case _:
            return False


# ---- bank accounts

_BANKS_BEHIND = re.compile(
    r"\s?[,(\[/:]?\s?(?:으로|로|에|은|는|이|가|을|를)?\s?"
    r"(?:계좌|입금|송금|이체|보내|부쳐|넣어|환불|환급|예금주|"
    r"(?:국민|신한|우리|하나|기업|농협|씨티|산업|부산|대구|광주|전북|경남|제주|SC제일|제일|카카오|토스|케이|아이엠)(?:은행|뱅크)|"
    r"농협|수협|신협|새마을|우체국|카뱅|토뱅|케뱅|KB|NH|IBK)",
    re.IGNORECASE,
)
_SHORT_BANK_BEHIND = re.compile(
    r"\s?\(?\s?(?:국민|신한|우리|하나|기업|농협|카카오|토스|씨티|부산|대구|SC)\)?(?![가-힣])"
)


def _accounts() -> KoreanRecogniser:
    return KoreanRecogniser(
        "KoreanAccounts",
        [PersonalDataKind.ACCOUNT_NUMBER],
        [r"(?:[0-9*][-.\s]{0,3}){8}[0-9*]"],
        [
            form(
                rf"{NOT_JOINED}(?P<value>[0-9]{{2,7}}(?:\s?-\s?[0-9{MASK}]{{1,8}}){{1,4}})(?![0-9{MASK}])(?!-[0-9])(?!\.[0-9])",
                _judge_account,
            ),
            form(
                rf"{NOT_JOINED}(?P<value>[0-9]{{2,6}}(?:(?: [0-9]{{1,7}}){{2,4}}|(?:\.[0-9]{{1,7}}){{2,4}}))(?![0-9])(?![-.][0-9])",
                _judge_account,
            ),
            form(rf"{NOT_INSIDE}[0-9]{{10,16}}{NOT_GOING_ON}", _judge_bare_account),
        ],
    )


_DATE = re.compile(r"(?:19|20)[0-9]{2}[-. ]+(?:0?[1-9]|1[0-2])[-. ]+(?:0?[1-9]|[12][0-9]|3[01])(?![0-9])")
_OWN_SHAPES = re.compile(
    r"3333-[0-9]{2}-[0-9]{7}|1002-[0-9]{3}-[0-9]{6}|(?:30[1-3]|35[1-6])-[0-9]{4}-[0-9]{4}-[0-9]{2}|[0-9]{6}-[0-9]{2}-[0-9]{6}|"
    r"[0-9]{3}-[0-9]{6}-[0-9]{2}-[0-9]{3}|[0-9]{3}-[0-9]{6}-[0-9]{5}|110-[0-9]{3}-[0-9]{6}|9[0-9]{3}-[0-9]{4}-[0-9]{4}-[0-9]"
)
"""Groupings that hardly anything else has: Kakao, Woori, NH, KB and the post office, IBK, Hana, Shinhan, Saemaul."""


def _account(found: Candidate, score: float) -> Find | None:
    if _AMOUNT.match(found.after(4)) or found.latin_before:
        return None
    if re.fullmatch(r"[0-9]{6}\s?-\s?[0-9]{7}|(?:[0-9]{1,3}\.){3}[0-9]{1,3}", found.value):
        return None  # has the form of a resident number, or of an IP address
    return Find(PersonalDataKind.ACCOUNT_NUMBER, found.start, found.end, score)


def _judge_account(found: Candidate) -> Find | None:
    characters = sum(character not in "-. " for character in found.value)
    if not 10 <= characters <= 16 or len(found.digits) < 5 or _DATE.match(found.value):
        return None
    spaced = "-" not in found.value
    if found.is_labelled(Meaning.ACCOUNT, Meaning.BANK):
        if spaced and not found.is_closely_labelled(Meaning.ACCOUNT, Meaning.BANK):
            return None
        if found.value.count("-") == 1 and not found.is_closely_labelled(Meaning.ACCOUNT, Meaning.BANK):
            return None
        # a word such as 농협 does not make an account of a mobile number
        if re.fullmatch(r"01[016789]\D{1,3}[0-9]{3,4}\D{1,3}[0-9]{4}", found.value):
            return None
        return _account(found, 0.88 if found.is_closely_labelled(Meaning.ACCOUNT) else 0.7)
    if found.is_labelled(Meaning.CODE) or found.is_closely_labelled(
        Meaning.PHONE, Meaning.BUSINESS, Meaning.LICENCE, Meaning.CARD, Meaning.CORPORATION, Meaning.RESIDENT
    ):
        return None
    if _BANKS_BEHIND.match(found.after(12)) or (not spaced and _SHORT_BANK_BEHIND.match(found.after(8))):
        return _account(found, 0.7)
    return _account(found, 0.5) if not spaced and _OWN_SHAPES.fullmatch(found.value.replace(" ", "")) else None


def _judge_bare_account(found: Candidate) -> Find | None:
    if found.is_closely_labelled(Meaning.ACCOUNT, Meaning.BANK):
        if _looks_like_a_moment(found.digits) and not found.is_labelled(Meaning.ACCOUNT):
            return None
        return _account(found, 0.8)
    if found.is_labelled(Meaning.ACCOUNT) and not _looks_like_a_moment(found.digits):
        return _account(found, 0.6)
    if found.label is None and re.match(
        r"\s?\(?(?:[가-힣A-Za-z]{2,4}(?:은행|뱅크)|농협|계좌|카뱅|토뱅)", found.after(10)
    ):
        return _account(found, 0.6)
    return None


def _looks_like_a_moment(digits: str) -> bool:
    return len(digits) in {12, 14} and digits[:2] in {"19", "20"} and _possible_day(digits[2:8])


# ---- business numbers

_ORGANISATION = re.compile(
    r"주식회사|㈜|\(주\)|유한회사|공사|공단|재단|사단|법인|협회|조합|진흥원|Inc|Corp|Ltd", re.IGNORECASE
)


def _business_numbers() -> KoreanRecogniser:
    return KoreanRecogniser(
        "KoreanBusinessNumbers",
        [PersonalDataKind.BUSINESS_NUMBER],
        [r"[0-9]{3}[-./\s]{1,3}[0-9]{2}[-./\s]{1,3}[0-9]{5}", r"[0-9]{10}"],
        [
            form(rf"{NOT_JOINED}[0-9]{{3}}\s?-\s?[0-9]{{2}}\s?-\s?[0-9]{{5}}{NOT_GOING_ON}", _judge_business),
            form(rf"{NOT_JOINED}[0-9]{{3}}[ ./][0-9]{{2}}[ ./][0-9]{{5}}{NOT_GOING_ON}", _judge_labelled_business),
            form(rf"{NOT_INSIDE}[0-9]{{10}}{NOT_GOING_ON}", _judge_labelled_business),
        ],
    )


def _judge_business(found: Candidate) -> Find | None:
    if found.latin_before or _is_numbered_document(found):
        return None
    if not found.is_labelled(Meaning.BUSINESS):
        if found.is_a_code or found.is_an_account:
            return None
        if _AMOUNT.match(found.after(4)):
            return None
    return _business(found, 0.9)


def _judge_labelled_business(found: Candidate) -> Find | None:
    if not found.is_labelled(Meaning.BUSINESS) or _AMOUNT.match(found.after(4)):
        return None
    return _business(found, 0.88)


def _business(found: Candidate, score: float) -> Find | None:
    """Numbers with 81 to 88 in the middle are corporations': public, where the words around say so too."""
    if 81 <= int(found.digits[3:5]) <= 88 and _ORGANISATION.search(found.before(40) + "\n" + found.after(20)):
        return None
    return Find(PersonalDataKind.BUSINESS_NUMBER, found.start, found.end, score)


# ---- passports, licences


def _passports() -> KoreanRecogniser:
    not_in_word = r"(?<![0-9A-Za-z_-])"
    end = r"(?![0-9A-Za-z])(?!-[0-9])"
    return KoreanRecogniser(
        "KoreanPassports",
        [PersonalDataKind.PASSPORT_NUMBER],
        [
            r"(?i)[a-z]\s?-?[0-9]{3}\s?-?[a-z][0-9]{4}",
            r"(?i)[msrgdotpc][a-z]?\s?-?[0-9]{7,8}",
            r"[0-9]{7}",
            r"(?i)[msrgdot][ -]?[0-9]{4}[ -][0-9]{4}",
        ],
        [
            form(rf"{not_in_word}[msrgdot][0-9]{{8}}{end}", _judge_passport),
            form(rf"{not_in_word}[msrgdot][0-9]{{3}}[a-z][0-9]{{4}}{end}", _judge_passport),
            form(rf"{not_in_word}[a-z]{{0,2}}[ -]?[0-9]{{7,9}}{end}", _judge_labelled_passport),
            form(rf"{not_in_word}[msrgdot][ -]?[0-9]{{3}}[ -]?[a-z][ -]?[0-9]{{4}}{end}", _judge_labelled_passport),
            form(rf"{not_in_word}[msrgdot][ -]?[0-9]{{4}}[ -][0-9]{{4}}{end}", _judge_labelled_passport),
        ],
    )


def _passport(found: Candidate, score: float) -> Find:
    start = found.start + len(found.value) - len(found.value.lstrip(" -"))
    return Find(PersonalDataKind.PASSPORT_NUMBER, start, found.end, score)


def _judge_passport(found: Candidate) -> Find | None:
    if found.is_labelled(Meaning.PASSPORT):
        return _passport(found, 0.95)
    coded = (
        found.label is not None and found.label.meaning in {Meaning.CODE, Meaning.VERSION} and found.label.is_adjacent
    )
    if coded or found.is_a_code or found.value[0].islower() or found.value[0] not in "MSRGD":
        return None
    date = re.fullmatch(r"[A-Z]20[0-9]{2}[01][0-9][0-3][0-9]", found.value)
    return None if date else _passport(found, 0.8)


def _judge_labelled_passport(found: Candidate) -> Find | None:
    if not found.is_closely_labelled(Meaning.PASSPORT) or _AMOUNT.match(found.after(4)):
        return None
    if re.fullmatch(r"(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]", found.value):
        return None
    return _passport(found, 0.8)


def _licences() -> KoreanRecogniser:
    region = rf"(?:(?:{REGIONS})(?:남부|북부)?[\s-]{{0,2}})"
    return KoreanRecogniser(
        "KoreanDriverLicences",
        [PersonalDataKind.DRIVER_LICENCE_NUMBER],
        [
            rf"[0-9]{{2}}[-.\s/]{{0,3}}[0-9]{{6}}[-.\s/]{{0,3}}[0-9{MASK}]{{2}}",
            rf"[0-9]{{2}}[-.\s/]{{0,3}}[0-9{MASK}]{{6}}[-.\s/]{{0,3}}[0-9]{{2}}",
        ],
        [
            form(
                rf"{NOT_JOINED}[0-9]{{2}}\s?[-–]\s?[0-9]{{2}}\s?-\s?[0-9]{{6}}\s?-\s?[0-9]{{2}}{NOT_GOING_ON}",
                _judge_licence,
            ),
            form(rf"{region}[0-9]{{2}}\s?[- ]\s?[0-9]{{6}}\s?[- ]\s?[0-9]{{2}}{NOT_GOING_ON}", _judge_licence),
            form(
                rf"{NOT_JOINED}{region}?(?:[0-9]{{2}}[-. /]{{0,3}})?[0-9]{{2}}[-. /]{{0,3}}[0-9{MASK}]{{6}}[-. /]{{0,3}}[0-9{MASK}]{{2}}(?![0-9{MASK}])(?!-[0-9])",
                _judge_labelled_licence,
            ),
        ],
    )


def _judge_licence(found: Candidate) -> Find | None:
    other = found.latin_before or found.is_a_code
    if other and not found.is_labelled(Meaning.LICENCE):
        return None
    return Find(PersonalDataKind.DRIVER_LICENCE_NUMBER, found.start, found.end, 0.92)


def _judge_labelled_licence(found: Candidate) -> Find | None:
    if not found.is_labelled(Meaning.LICENCE) or len(found.digits) < 6:
        return None
    return Find(PersonalDataKind.DRIVER_LICENCE_NUMBER, found.start, found.end, 0.9)


# ---- car plates

_PLATE_LETTERS = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주바사아자허하호배육해공국합"
_COUNTERS = "조호주도부로고배두구"
"""Letters of plates that also stand behind a number as a unit, an article or a particle."""
_PERHAPS_COUNTERS = "소보수하무자공국해나다라마사아"
_YEAR = re.compile("(?:19|20)[0-9]{2}")
_CAR_BEHIND = re.compile(r"\s?(?:차량|차주|차 |번호판|승용차|화물차|운전|호 차)")
_CAR_AROUND = re.compile(
    r"차량|차주|(?<![가-힣])차(?:를|가|는|로|에|의|종|번)(?![가-힣])|주차|승용차|화물차|렌터카|택시|번호판|견인|과속|블랙박스|하이패스|통행료|미납"
)
_NEVER_A_COUNTER_BESIDE_CARS = frozenset("주부고배두구")
"""`48부 4373` near a word about cars is a plate; `3호 1234`, `12조 3456`, `30도 1000`, `21로 1500` may be places there too."""
_PLATE_COLUMN = re.compile(r"(?:차량|자동차|차)\s?(?:등록\s?)?번호[^\n]{0,60}\n")
_COURT = re.compile(r"대법원|법원|판결|선고|결정|헌재|헌법재판소|사건|상고|항소|재심")
_PLATE_REGION = rf"(?:{REGIONS})(?:시|도)?"


def _plates() -> KoreanRecogniser:
    end = r"(?![0-9])(?!-[0-9])"
    return KoreanRecogniser(
        "KoreanCarPlates",
        [PersonalDataKind.CAR_PLATE],
        [rf"[0-9]\s?[{_PLATE_LETTERS}]\s?[0-9]{{2}}[0-9*]{{2}}", rf"[가-힣]\s?[{_PLATE_LETTERS}]\s?[0-9]{{4}}"],
        [
            form(
                rf"(?<![0-9가-힣])(?:{_PLATE_REGION})\s?[0-9]{{1,2}}\s?[{_PLATE_LETTERS}]\s?[0-9]{{4}}{end}",
                _judge_plate,
            ),
            form(
                rf"(?<![0-9])(?<![0-9][.,-])[0-9]{{2,3}}\s?[{_PLATE_LETTERS}]\s?[0-9]{{2}}[0-9*]{{2}}{end}",
                _judge_plate,
            ),
            form(
                rf"(?<![0-9가-힣])(?:{_PLATE_REGION})\s?[가-힣]{{0,3}}[구군]?\s?[{_PLATE_LETTERS}]\s[0-9]{{4}}{end}",
                _judge_plate_without_class,
            ),
            form(
                rf"(?<![0-9가-힣])(?:{_PLATE_REGION})\s?[가-힣]{{0,3}}[구군시]?\s?[{_PLATE_LETTERS}][0-9]{{4}}{end}",
                _judge_plate_without_class,
            ),
        ],
        core=rf"[0-9가-힣]\s?[{_PLATE_LETTERS}]\s?[0-9]{{2}}",
    )


_PLATE_PARTS = re.compile(
    r"(?P<region>[가-힣]{2,3}\s?)?(?P<number>[0-9]+)(?P<gap>\s?)(?P<letter>[가-힣])(?P<space>\s?)(?P<last>[0-9*]+)$"
)
_NOT_A_PLATE_BEHIND = re.compile(
    rf"{AMOUNT_UNITS}|\s?[./~,][0-9]|\s?(?:항|목|번지|세대|가구|대(?![가-힣])|석|권|쪽|면|평|곳|장(?![가-힣])|매)"
)


def _judge_plate(found: Candidate) -> Find | None:
    parts = _PLATE_PARTS.search(found.value)
    if parts is None or found.latin_before:
        return None
    labelled = found.is_labelled(Meaning.PLATE)
    # the head of a table's column says it for all its cells
    in_column = _PLATE_COLUMN.search(found.before(200)) is not None
    if re.search(r"제\s?$", found.before(2)) and not re.search(r"(?:어|이|문)제\s?$", found.before(3)):
        return None
    if _COURT.search(found.before(14)) or _COURT.search(found.after(10)):
        return None
    if _NOT_A_PLATE_BEHIND.match(found.after(5)):
        return None
    one_gap = bool(parts["gap"]) != bool(parts["space"])
    if parts["region"] and not (one_gap and parts["letter"] in _COUNTERS and not labelled):
        return Find(PersonalDataKind.CAR_PLATE, found.start, found.end, 0.9)
    if found.is_a_code or ("*" in parts["last"] and not labelled):
        return None
    if found.is_closely_labelled(Meaning.PLATE) or _CAR_BEHIND.match(found.after(8)):
        return Find(PersonalDataKind.CAR_PLATE, found.start, found.end, 0.88)
    # `12호 2026`, `30도 1000`; a unit is never written apart from its number and from the next one
    beside_cars = parts["letter"] in _NEVER_A_COUNTER_BESIDE_CARS and (
        _CAR_AROUND.search(found.before(40)) is not None or _CAR_AROUND.search(found.after(20)) is not None
    )
    counted = parts["letter"] in _COUNTERS and one_gap and not in_column and not beside_cars
    if counted or (
        parts["gap"] == "" and parts["space"] and parts["letter"] in _PERHAPS_COUNTERS and _YEAR.match(parts["last"])
    ):
        return None
    if parts["letter"] == "조" and (parts["gap"] or parts["space"]):
        return None
    return Find(PersonalDataKind.CAR_PLATE, found.start, found.end, 0.75)


def _judge_plate_without_class(found: Candidate) -> Find | None:
    """Motorcycles (`서울 강남 가 1234`) and old commercial plates (`경기 바 1234`)."""
    if not found.is_closely_labelled(Meaning.PLATE) and not re.search(
        r"오토바이|이륜차?|바이크|스쿠터", found.before(20)
    ):
        return None
    if _NOT_A_PLATE_BEHIND.match(found.after(5)):
        return None
    return Find(PersonalDataKind.CAR_PLATE, found.start, found.end, 0.7)


# ---- IP addresses


def _ip_addresses() -> KoreanRecogniser:
    return KoreanRecogniser(
        "IpAddresses",
        [PersonalDataKind.IP_ADDRESS],
        [
            r"[0-9]{1,3}\s?\.\s?[0-9]{1,3}\s?\.\s?[0-9]{1,3}\s?\.\s?[0-9]{1,3}",
            r"(?i)(?:[0-9a-f]{1,4}:){2,7}[0-9a-f:]|[0-9a-f]{1,4}::[0-9a-f]|::[0-9a-f]",
        ],
        [
            form(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9])(?!\.[0-9])", _judge_ipv4),
            form(
                r"(?<![0-9.])[0-9]{1,3}(?:\s\.\s?[0-9]{1,3}|\s?\.\s[0-9]{1,3}){3}(?![0-9])(?!\.[0-9])",
                _judge_spaced_ipv4,
            ),
            form(
                r"(?<![0-9a-z:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:(?<=:)[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![0-9a-z:])",
                _judge_ipv6,
            ),
        ],
        core=r"[0-9](?:\s?\.\s?[0-9]{1,3}){3}|:[0-9a-fA-F]{0,4}:",
    )


_VERSION_BEHIND = re.compile(
    r"\s?(?:버전|버젼|version|ver|릴리[스즈]|release|빌드|build|패치|펌웨어|절|항|장|조|목|번\s?항|로\s?(?:업데이트|업그레이드|올))",
    re.IGNORECASE,
)


_CONNECTION_BEHIND = re.compile(
    r"\s?(?:에서|로|으로|에|의)?\s?(?:로그인|접속|접근|연결|차단|시도|서버|호스트|PC|:[0-9]{2,5})", re.IGNORECASE
)


def _judge_ipv4(found: Candidate) -> Find | None:
    parts = [int(part) for part in found.value.split(".")]
    if max(parts) > 255 or parts[0] == 0 or parts == [127, 0, 0, 1] or parts[:2] == [255, 255]:
        return None  # no host, the machine itself, a mask
    if found.is_closely_labelled(Meaning.IP) or found.latin_before == "ip":
        return Find(PersonalDataKind.IP_ADDRESS, found.start, found.end, 0.95)
    if found.latin_before and found.latin_before not in {"ipv", "from", "to", "at", "host"}:
        return None
    if found.is_closely_labelled(Meaning.VERSION) or found.is_a_code or _VERSION_BEHIND.match(found.after(10)):
        return None
    if found.is_labelled(Meaning.IP) or _CONNECTION_BEHIND.match(found.after(16)):
        return Find(PersonalDataKind.IP_ADDRESS, found.start, found.end, 0.85)
    if found.is_labelled(Meaning.VERSION):
        return None
    private = parts[0] == 10 or parts[:2] == [192, 168] or (parts[0] == 172 and 16 <= parts[1] <= 31)
    # sections, versions and dates have small parts
    if private or max(parts) >= 100 or (parts[0] >= 10 and max(parts[1:]) > 31):
        return Find(PersonalDataKind.IP_ADDRESS, found.start, found.end, 0.6)
    return None


def _judge_spaced_ipv4(found: Candidate) -> Find | None:
    parts = [int(part) for part in re.findall("[0-9]+", found.value)]
    if max(parts) > 255 or not found.is_closely_labelled(Meaning.IP):
        return None
    return Find(PersonalDataKind.IP_ADDRESS, found.start, found.end, 0.8)


def _judge_ipv6(found: Candidate) -> Find | None:
    value = found.value
    if len(value) < 5 or found.latin_before:
        return None
    end = found.end
    if value.endswith(":") and not value.endswith("::"):
        value, end = value[:-1], end - 1
    try:
        address = IPv6Address(value)
    except AddressValueError:
        return None
    if address.is_loopback or address.is_unspecified:
        return None
    labelled = found.is_closely_labelled(Meaning.IP)
    usual = re.match(r"[23][0-9a-f]{3}:|fe80:|f[cd][0-9a-f]{2}:|::ffff:", value, re.IGNORECASE)
    if not labelled and (usual is None or not any(character.isdigit() for character in value)):
        return None
    return Find(PersonalDataKind.IP_ADDRESS, found.start, end, 0.9)
