"""Sentences with invented personal data of every kind, and sentences with numbers that only look like it.

Two sets of sentences: those that the patterns were tuned on, and held-out ones that were written afterwards and apart. Every value is
made up; numbers with a check digit have a right one where the kind asks for it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from contracts.enums import PersonalDataKind as Kind
from data_prep.masking.identifiers import luhn

Make = Callable[[random.Random], str]


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, and where its personal data stand; none in a negative."""

    text: str
    kind: Kind | None
    start: int = 0
    end: int = 0
    group: str = ""
    """Which form or which look-alike it is."""


# ---- values


def _digits(rng: random.Random, count: int, first: str = "0123456789") -> str:
    return rng.choice(first) + "".join(rng.choices("0123456789", k=count - 1)) if count else ""


def _birth(rng: random.Random, since: int, until: int) -> str:
    return f"{rng.randint(since, until) % 100:02d}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"


def _check_digit(digits: str) -> str:
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return str(((13 if digits[6] in "5678" else 11) - total % 11) % 10)


def _resident(rng: random.Random, *, foreign: bool, checked: bool) -> str:
    late = rng.random() < 0.3
    birth = _birth(rng, 2000, 2024) if late else _birth(rng, 1940, 1999)
    gender = rng.choice(("78" if late else "56") if foreign else ("34" if late else "12"))
    digits = birth + gender + _digits(rng, 5)
    return digits + (_check_digit(digits) if checked else _digits(rng, 1))


def _full_width(value: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in value)


def _paired(digits: str, rng: random.Random) -> str:
    joint = rng.choice(("-", "-", "-", "-", " - ", "–", "－", "‐", "—", "- ", " -"))
    value = digits[:6] + joint + digits[6:]
    return _full_width(value) if rng.random() < 0.08 else value


def _bare_checked(foreign: bool) -> Make:
    return lambda rng: _resident(rng, foreign=foreign, checked=True)


def _pair(foreign: bool, checked: bool) -> Make:
    return lambda rng: _paired(_resident(rng, foreign=foreign, checked=checked), rng)


def _spaced_pair(foreign: bool) -> Make:
    def make(rng: random.Random) -> str:
        digits = _resident(rng, foreign=foreign, checked=rng.random() < 0.5)
        return f"{digits[:6]} {digits[6:]}"

    return make


def _hidden_pair(rng: random.Random) -> str:
    digits = _resident(rng, foreign=False, checked=True)
    star = rng.choice("**xX●")
    return f"{digits[:6]}-{digits[6]}{star * 6}"


def _joined(parts: Sequence[str], rng: random.Random, joints: Sequence[str]) -> str:
    value = rng.choice(joints).join(parts)
    return _full_width(value) if rng.random() < 0.05 else value


def _mobile(rng: random.Random) -> str:
    first = rng.choice(("010",) * 8 + ("011", "016", "019"))
    middle = _digits(rng, 4, "23456789") if first == "010" else _digits(rng, rng.choice((3, 4)), "23456789")
    return _joined((first, middle, _digits(rng, 4)), rng, ("-", "-", "-", "-", ".", " ", "", " - ", "–", "/", "·"))


def _mobile_from_abroad(rng: random.Random) -> str:
    middle, last = _digits(rng, 4, "23456789"), _digits(rng, 4)
    return rng.choice(
        (
            f"+82 10 {middle} {last}", f"+82-10-{middle}-{last}", f"+8210{middle}{last}", f"+82 10-{middle}-{last}",
            f"+82 (0)10-{middle}-{last}", f"82-10-{middle}-{last}", f"(+82)10-{middle}-{last}", f"0082-10-{middle}-{last}", f"+82.10.{middle}.{last}",
        )
    )  # fmt: skip


def _landline(rng: random.Random) -> str:
    area = rng.choice(
        (
            "02",
            "02",
            "031",
            "032",
            "033",
            "041",
            "042",
            "043",
            "044",
            "051",
            "052",
            "053",
            "054",
            "055",
            "061",
            "062",
            "063",
            "064",
        )
    )
    middle, last = _digits(rng, rng.choice((3, 4)), "23456789"), _digits(rng, 4)
    return rng.choice(
        (f"{area}-{middle}-{last}", f"{area}-{middle}-{last}", f"({area}){middle}-{last}", f"({area}) {middle}-{last}", f"{area}){middle}-{last}",
         f"{area}.{middle}.{last}", f"{area} {middle} {last}", f"{area}{middle}{last}", f"+82-{area[1:]}-{middle}-{last}", f"{area} - {middle} - {last}",
         f"{area}-{middle}{last}")
    )  # fmt: skip


def _internet_phone(rng: random.Random) -> str:
    return _joined(("070", _digits(rng, 4, "23456789"), _digits(rng, 4)), rng, ("-", "-", ".", "", " "))


def _safe_number(rng: random.Random) -> str:
    first = rng.choice(("0502", "0503", "0504", "0505", "0507", "0508", "050"))
    return _joined(
        (first, _digits(rng, rng.choice((3, 4)) if first != "050" else 4, "23456789"), _digits(rng, 4)),
        rng,
        ("-", "-", "-", ".", " ", ""),
    )


def _email(rng: random.Random) -> str:
    user = rng.choice(
        ("hong", "gildong.kim", "min_su", "s.y-lee", "jiwoo2001", "park+news", "user.name", "k7", "haneul_88", "a.b.c")
    )
    host = rng.choice(
        (
            "naver.com",
            "gmail.com",
            "hanmail.net",
            "daum.net",
            "example.co.kr",
            "kakao.com",
            "mail.example.org",
            "korea.ac.kr",
            "sub-domain.example.io",
            "nate.com",
        )
    )
    return f"{user}{rng.randint(1, 999)}@{host}"


def _email_otherwise(rng: random.Random) -> str:
    user, host = _email(rng).split("@")
    return rng.choice(
        (f"{user}＠{host}", f"{user} @ {host}", f"{user}[at]{host}", f"{user}(at){host}", f"{user} [at] {host}", f"{user}골뱅이{host}", f"{user} 골뱅이 {host}",
         f"{user}@{host}".upper(), f"{user} at {host.replace('.', ' dot ')}", f"{user}[at]{host.replace('.', '[dot]')}", f"{user}골뱅이 네이버 닷컴", f"{user} 골뱅이 naver점com")
    )  # fmt: skip


def _card_digits(rng: random.Random) -> str:
    start = rng.choice(
        ("4", "4", "51", "52", "53", "54", "55", "62", "9410", "9490", "356", "2345", "6011", "37", "34")
    )
    length = 15 if start in {"37", "34"} else 16
    body = start + "".join(rng.choices("0123456789", k=length - 1 - len(start)))
    return next(body + check for check in "0123456789" if luhn(body + check))


def _card(rng: random.Random) -> str:
    digits = _card_digits(rng)
    parts = (
        [digits[:4], digits[4:10], digits[10:]] if len(digits) == 15 else [digits[i : i + 4] for i in range(0, 16, 4)]
    )
    return _joined(parts, rng, ("-", "-", " ", " ", "", ".", " - "))


_ACCOUNT_FORMS = {
    "국민은행": ("6-2-6",), "신한은행": ("3-3-6",), "우리은행": ("4-3-6",), "하나은행": ("3-6-5",), "농협은행": ("3-4-4-2", "3-2-6"), "기업은행": ("3-6-2-3",),
    "카카오뱅크": ("4-2-7",), "토스뱅크": ("4-4-4",), "케이뱅크": ("3-3-6",), "새마을금고": ("4-4-4-1",), "우체국": ("6-2-6",), "SC제일은행": ("3-2-6",),
    "부산은행": ("3-4-4-2",), "대구은행": ("3-2-6-1",), "신협": ("5-2-6",), "수협": ("3-4-4-1",), "광주은행": ("3-3-6",), "씨티은행": ("3-6-3",), "산업은행": ("3-4-4-3",),
}  # fmt: skip


def _account_of(bank: str, rng: random.Random) -> str:
    parts = [_digits(rng, int(size), "123456789") for size in rng.choice(_ACCOUNT_FORMS[bank]).split("-")]
    return rng.choice(("-", "-", "-", "-", "", " ")).join(parts)


def _account(rng: random.Random) -> str:
    return _account_of(rng.choice(sorted(_ACCOUNT_FORMS)), rng)


def _business(rng: random.Random) -> str:
    start = _digits(rng, 3, "123456") + f"{rng.choice([*range(1, 80), *range(90, 100)]):02d}" + _digits(rng, 4)
    weights = (1, 3, 7, 1, 3, 7, 1, 3, 5)
    total = sum(int(digit) * weight for digit, weight in zip(start, weights, strict=True)) + int(start[8]) * 5 // 10
    digits = start + str((10 - total % 10) % 10)
    return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"


def _bare_business(rng: random.Random) -> str:
    return _business(rng).replace("-", rng.choice(("", " ", " - ")))


def _passport(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"{rng.choice('MMMMSRGD')}{_digits(rng, 3)}{rng.choice('ABCDEFGHJKLMNPQRSTUVWXYZ')}{_digits(rng, 4)}"
    return f"{rng.choice('MMMMSRGD')}{_digits(rng, 8)}"


def _licence(rng: random.Random) -> str:
    middle, last = _digits(rng, 6), _digits(rng, 2)
    year = f"{rng.choice([*range(70, 100), *range(25)]):02d}"
    if rng.random() < 0.25:
        return f"{rng.choice(('서울', '경기', '부산', '대구', '인천', '강원', '충남', '전북'))} {year}-{middle}-{last}"
    return f"{rng.randint(11, 28)}-{year}-{middle}-{last}"


_LETTERS = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주바사아자허하호배"


def _plate(rng: random.Random) -> str:
    number, letter, last = str(rng.randint(10, 699)), rng.choice(_LETTERS), _digits(rng, 4)
    form = rng.randrange(6)
    if form == 0:
        region = rng.choice(("서울", "경기", "부산", "인천", "대구"))
        return f"{region} {number[:2]}{rng.choice(('', ' '))}{rng.choice('가나다바사아자')} {last}"
    return (f"{number}{letter}{last}", f"{number}{letter} {last}", f"{number} {letter} {last}")[form % 3]


def _ipv4(rng: random.Random) -> str:
    return rng.choice(
        (f"192.168.{rng.randint(0, 255)}.{rng.randint(1, 254)}", f"10.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}",
         *(".".join(str(rng.randint(1, 254)) for _ in range(4)) for _ in range(3)))
    )  # fmt: skip


def _ipv6(rng: random.Random) -> str:
    groups = [f"{rng.randint(0, 0xFFFF):x}" for _ in range(7)]
    return rng.choice(
        (
            "2001:" + ":".join(groups),
            f"2001:db8::{groups[0]}",
            f"fe80::{groups[0]}:{groups[1]}:{groups[2]}:{groups[3]}",
            f"2001:0db8:85a3:0000:0000:8a2e:0370:{rng.randint(0, 9999):04d}",
        )
    )


_REGION_ROADS = (
    ("서울특별시 강남구", "테헤란로"), ("서울시 마포구", "월드컵북로"), ("서울 송파구", "올림픽로35길"), ("경기도 성남시 분당구", "판교역로"), ("경기 수원시 영통구", "광교중앙로"),
    ("부산광역시 해운대구", "센텀중앙로"), ("부산 부산진구", "중앙대로"), ("대구광역시 수성구", "달구벌대로"), ("인천광역시 연수구", "송도과학로"), ("광주광역시 서구", "상무중앙로"),
    ("대전광역시 유성구", "대학로"), ("울산 남구", "삼산로"), ("세종특별자치시", "한누리대로"), ("강원특별자치도 춘천시", "중앙로"), ("충청북도 청주시 흥덕구", "가로수로"),
    ("충남 천안시 서북구", "불당대로"), ("전북특별자치도 전주시 완산구", "효자로"), ("전라남도 순천시", "중앙로"), ("경상북도 김천시", "혁신8로"), ("경남 창원시 성산구", "중앙대로"),
    ("제주특별자치도 제주시", "첨단로"), ("경기도 용인시 기흥구", "동백죽전대로527번길"), ("서울특별시 관악구", "봉천로 12길"), ("경기도 화성시 동탄면", "동탄대로"), ("강남구", "논현로"),
)  # fmt: skip
_REGION_VILLAGES = (
    ("서울 종로구", "세종로"), ("서울특별시 강남구", "역삼동"), ("경기도 파주시 탄현면", "법흥리"), ("충청남도 홍성군 홍북읍", "상하리"), ("부산 해운대구", "우동"), ("대전 서구", "둔산동"),
    ("전남 신안군 흑산면", "예리"), ("경북 경주시", "황남동"), ("제주도 서귀포시 성산읍", "고성리"), ("인천 남동구", "구월동"), ("서울 영등포구", "여의도동"), ("강원도 강릉시", "교동"),
)  # fmt: skip


def _road_address(rng: random.Random) -> str:
    region, road = rng.choice(_REGION_ROADS)
    number = rng.choice((f"{rng.randint(1, 999)}", f"{rng.randint(1, 300)}-{rng.randint(1, 30)}"))
    flat = f"{rng.randint(101, 120)}동 {rng.randint(1, 25)}{rng.randint(1, 8):02d}호"
    detail = rng.choice(
        (
            "",
            "",
            f", {rng.randint(1, 20)}층",
            f" {flat}",
            f", {flat}",
            f" 한빛아파트 {flat}",
            f" {rng.randint(101, 999)}호",
            " (역삼동)",
            f", {flat} (정자동, 미래아파트)",
            f" 대성빌딩 {rng.randint(2, 9)}층",
            f" 지하 {rng.randint(1, 3)}층",
            f" B{rng.randint(1, 3)}층",
        )
    )
    return f"{region} {road} {number}{detail}"


def _lot_address(rng: random.Random) -> str:
    region, village = rng.choice(_REGION_VILLAGES)
    number = f"{rng.randint(1, 999)}-{rng.randint(1, 99)}"
    return f"{region} {village} " + rng.choice(
        (
            number,
            f"{number}번지",
            f"{rng.randint(10, 999)}번지",
            f"{number} 2층",
            f"{number} 행복빌라 {rng.randint(101, 505)}호",
            f"{rng.randint(10, 999)}번지 {rng.randint(1, 20)}통 {rng.randint(1, 9)}반",
        )
    )


MAKERS: dict[Kind, dict[str, Make]] = {
    Kind.RESIDENT_NUMBER: {"checksum": _pair(False, True), "after 2020": _pair(False, False), "bare": _bare_checked(False), "spaced": _spaced_pair(False), "hidden": _hidden_pair},
    Kind.FOREIGNER_NUMBER: {"checksum": _pair(True, True), "after 2020": _pair(True, False), "bare": _bare_checked(True), "spaced": _spaced_pair(True)},
    Kind.PHONE_NUMBER: {"mobile": _mobile, "mobile ": _mobile, "from abroad": _mobile_from_abroad, "landline": _landline, "internet": _internet_phone, "safe": _safe_number},
    Kind.EMAIL: {"plain": _email, "otherwise": _email_otherwise},
    Kind.CARD_NUMBER: {"card": _card},
    Kind.ACCOUNT_NUMBER: {"account": _account},
    Kind.BUSINESS_NUMBER: {"hyphens": _business, "bare": _bare_business},
    Kind.PASSPORT_NUMBER: {"passport": _passport},
    Kind.DRIVER_LICENCE_NUMBER: {"licence": _licence},
    Kind.CAR_PLATE: {"plate": _plate},
    Kind.IP_ADDRESS: {"v4": _ipv4, "v6": _ipv6},
    Kind.ADDRESS: {"road": _road_address, "lot": _lot_address},
}  # fmt: skip

_LABELLED = ("bare", "spaced")
"""Forms that people write behind a word that says what it is."""

ANY_SENTENCES = (
    "{v}", "제 번호는 {v}입니다.", "{v}로 등록되어 있습니다.", "({v})", "고객이 남긴 정보: {v}", "{v}, 확인 부탁드립니다.", "본인 확인을 위해 {v}을(를) 말씀해 주셨습니다.",
)  # fmt: skip
SENTENCES: dict[Kind, tuple[str, ...]] = {
    Kind.RESIDENT_NUMBER: ("홍길동의 주민등록번호는 {v}입니다.", "주민번호 {v}로 조회해 주세요.", "주민등록번호: {v}", "주민번호가 {v}인데 본인 인증이 안 됩니다.", "신분증에는 {v}라고 적혀 있어요."),
    Kind.FOREIGNER_NUMBER: ("외국인등록번호는 {v}입니다.", "외국인등록번호: {v}", "외국인등록증 번호 {v}로 신청했습니다.", "등록번호({v})를 확인했습니다."),
    Kind.PHONE_NUMBER: ("제 연락처는 {v}입니다.", "{v}로 전화 주세요.", "휴대폰 {v}로 문자 보내 주시면 됩니다.", "전화번호: {v}", "Tel. {v}", "연락처({v})로 회신 바랍니다.", "담당자 번호 {v}으로 연락하세요.", "{v}번으로 다시 걸어 주세요."),
    Kind.EMAIL: ("메일은 {v}입니다.", "{v}로 보내 주세요.", "이메일 주소: {v}", "{v}에서 받은 메일입니다.", "답변은 {v} 으로 부탁드립니다."),
    Kind.CARD_NUMBER: ("카드번호는 {v}입니다.", "{v} 카드로 결제했습니다.", "신용카드 {v}, 유효기간 12/27", "결제 카드: {v}"),
    Kind.ACCOUNT_NUMBER: ("신한은행 {v}로 입금했습니다.", "계좌번호는 {v}입니다.", "환불 계좌: 국민은행 {v} 예금주 홍길동", "{v} (농협) 으로 보내 주세요.", "제 통장 {v}에 넣어 주세요.", "우리은행 계좌 {v}로 이체 바랍니다."),
    Kind.BUSINESS_NUMBER: ("사업자등록번호는 {v}입니다.", "사업자번호 {v}로 세금계산서 발행해 주세요.", "개인사업자 {v} 대표 홍길동"),
    Kind.PASSPORT_NUMBER: ("여권번호는 {v}입니다.", "여권 {v}로 예약했습니다.", "Passport No. {v}", "여권번호({v})가 맞나요?"),
    Kind.DRIVER_LICENCE_NUMBER: ("운전면허번호는 {v}입니다.", "면허번호 {v}로 조회해 주세요.", "운전면허증 번호: {v}"),
    Kind.CAR_PLATE: ("차량번호는 {v}입니다.", "{v} 차주분 차 좀 빼 주세요.", "제 차 {v}로 등록해 주세요.", "번호판 {v} 차량이 주차되어 있습니다."),
    Kind.IP_ADDRESS: ("접속 IP는 {v}입니다.", "IP 주소: {v}", "{v}에서 로그인했습니다.", "서버 {v}에 연결되지 않습니다."),
    Kind.ADDRESS: ("주소는 {v}입니다.", "{v}로 보내 주세요.", "{v}에 살고 있습니다.", "배송지: {v}", "저희 집은 {v}이에요."),
}  # fmt: skip

HELD_OUT: dict[Kind, tuple[str, ...]] = {
    Kind.RESIDENT_NUMBER: (
        "신청인 정보 확인: 주민등록번호 {v}, 세대주 본인", "등본 떼려고 하는데 주민번호 뒷자리까지 {v} 이렇게 넣었더니 오류가 나요", "아이 주민번호는 {v}이고 작년에 태어났어요.", "회원가입할 때 {v}를 입력했습니다",
        "• 주민등록번호 : {v}\n• 성명 : 홍길동", "본인(주민번호:{v})은 위 사항에 동의합니다.", "실명확인번호 {v} 미일치", '{{"rrn": "{v}", "name": "kim"}}', "어머니께서 {v}번이신데 감면 대상인가요?", "상속인 김철수({v})",
    ),
    Kind.FOREIGNER_NUMBER: (
        "외국인인데 등록번호가 {v}예요. 하이패스 카드 만들 수 있나요?", "국내거소신고번호 {v} 소지자입니다", "체류자격 E-9, 외국인등록번호 {v}", "ARC number {v}", "외국인 등록 번호 -> {v}", "영주권자 응우옌 씨 {v} 확인했습니다.",
    ),
    Kind.PHONE_NUMBER: (
        "급하면 {v} 여기로 카톡 주세요~", "HP: {v} / 오후 2시 이후 통화 가능", "어제 {v}에서 부재중이 와 있던데 누구신가요?", "보호자 연락처는 {v}이며 야간에도 받습니다.", "☎{v}", "수신자 {v}에게 발송 실패", "이 번호({v})는 누구 건가요?",
        "대표 이순신 T {v} F 없음", "문의:{v}", "제 폰은 {v}인데요, 문자가 안 와요.", "{v}\n위 번호로 콜백 요청", "상담원이 {v}라고 알려 줬어요", "[발신] {v} [내용] 통행료 미납 안내",
    ),
    Kind.EMAIL: (
        "자료는 {v}으로 회신 부탁드려요", "<{v}>", "아이디가 {v}인데 로그인이 안 돼요", "받는사람: {v}; 참조 없음", "문의처 {v}까지.", "제 메일 {v}에는 아무것도 안 왔습니다", "from {v} to support",
    ),
    Kind.CARD_NUMBER: (
        "분실한 카드가 {v}예요. 정지해 주세요", "하이패스 후불카드 {v} 로 자동충전", "{v}번 카드 승인이 취소되지 않았습니다.", "결제수단 [{v}] 일시불", "card no: {v}", "{v}로 긁었는데 두 번 결제됐어요",
    ),
    Kind.ACCOUNT_NUMBER: (
        "환급금은 카카오뱅크 {v} 로 받겠습니다", "입금하실 곳은 기업은행 {v} (예금주: 홍길동)입니다", "통행료 환불받을 계좌 알려드려요. 하나은행 {v}", "계좌 {v} 오류로 송금이 실패했습니다.", "예금주 김영희 / 새마을금고 / {v}",
        "{v} 국민은행 홍길동 앞으로 이체해 주세요", "자동이체 계좌를 {v}(우체국)로 변경", "급여통장 번호가 {v}로 바뀌었습니다", "농협 {v} 으로 3만원 보내 주세요",
    ),
    Kind.BUSINESS_NUMBER: (
        "가게 사업자등록번호 {v}이고 간이과세자입니다", "상호: 길동분식 / 사업자번호: {v} / 대표: 홍길동", "사업자등록증상 번호({v})와 대표자명이 다릅니다", "현금영수증을 사업자 {v} 앞으로 끊어 주세요",
    ),
    Kind.PASSPORT_NUMBER: (
        "여권번호 {v}, 만료일 2030년 1월", "출국자 명단: KIM MINSU / {v} (여권)", "여권을 잃어버렸어요. 번호는 {v}였습니다", "항공권 예매할 때 여권 정보 {v} 입력했어요", "새 여권({v})으로 바꿔 주세요",
    ),
    Kind.DRIVER_LICENCE_NUMBER: (
        "렌터카 빌릴 때 면허증 {v} 제출했습니다", "면허 갱신 대상자 {v}", "운전면허 번호 {v} 진위 확인 요청", "{v} 면허가 정지되었다는데 맞나요?",
    ),
    Kind.CAR_PLATE: (
        "미납 통행료가 {v} 차량으로 나왔어요", "{v} 번호판 인식 오류", "과태료 고지서에 {v}로 되어 있는데 제 차가 아니에요", "하이패스 단말기를 {v}에 달았습니다", "렌트카({v})로 톨게이트를 지났어요", "제가 타는 {v}는 경차입니다",
    ),
    Kind.IP_ADDRESS: (
        "비정상 접속이 감지되었습니다: {v}", "{v} 에서 로그인 시도 5회 실패", "client={v} status=403", "방화벽에서 {v}를 차단해 주세요", "공인 아이피가 {v}로 잡힙니다",
    ),
    Kind.ADDRESS: (
        "택배 받을 곳은 {v}이고 부재 시 경비실에 맡겨 주세요", "{v}에 거주하는 홍길동입니다", "사업장이 {v}에 있어요", "이사 온 집 주소가 {v}로 바뀌었습니다.", "고지서를 {v} 앞으로 다시 보내 주세요", "주소지: {v}", "집({v}) 앞 도로 소음이 심합니다",
    ),
}  # fmt: skip


# ---- what only looks like it


def _moment(rng: random.Random) -> tuple[int, int, int, int, int, int]:
    return (
        rng.randint(2005, 2027),
        rng.randint(1, 12),
        rng.randint(1, 28),
        rng.randint(0, 23),
        rng.randint(0, 59),
        rng.randint(0, 59),
    )


def _timestamp(rng: random.Random) -> str:
    year, month, day, hour, minute, second = _moment(rng)
    return rng.choice(
        (
            f"기준 시각은 {year}{month:02d}{day:02d}{hour:02d}{minute:02d}입니다.", f"{year}{month:02d}{day:02d}{hour:02d}{minute:02d}{second:02d} 로그 기록", f"{year}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}에 처리되었습니다.",
            f"{year}.{month:02d}.{day:02d}. {hour:02d}:{minute:02d} 접수", f"에포크 {rng.randint(1_500_000_000, 1_800_000_000)}", f"timestamp={rng.randint(1_500_000_000_000, 1_800_000_000_000)}", f"{year}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}+09:00",
            f"{year}년 {month}월 {day}일부터 {year + 1}년 {month}월 {day}일까지", f"기간: {year}.{month:02d}.{day:02d}-{year}.12.31", f"{year}{month:02d}{day:02d}-{hour:02d}{minute:02d}{second:02d} 백업", f"측정 {rng.randint(1_500_000_000, 1_800_000_000)}초 시점", f"{year % 100:02d}{month:02d}{day:02d}-{hour:02d}{minute:02d}",
        )
    )  # fmt: skip


def _article(rng: random.Random) -> str:
    a, b, c = rng.randint(1, 400), rng.randint(1, 20), rng.randint(1, 20)
    return rng.choice(
        (f"제{a}조의{b} 제{c}항에 따라 처리합니다.", f"「도로법」 제{a}조제{b}항제{c}호", f"법률 제{rng.randint(1000, 20000)}호, 2024. 1. 2. 일부개정", f"대통령령 제{rng.randint(10000, 35000)}호", f"시행령 제{a}조 {rng.randint(1000, 9999)}원", f"별표 {b} 제{c}호 가목", f"제{a}조 및 제{b}조의2(2023. 5. 16. 신설)", f"국토교통부고시 제{rng.randint(2010, 2026)}-{rng.randint(1, 999)}호", f"{a}조 {b}항 {c}호 나목", f"조례 제{rng.randint(1000, 9999)}호")
    )  # fmt: skip


def _case(rng: random.Random) -> str:
    year, number = rng.randint(1990, 2026), rng.randint(1, 399999)
    code = rng.choice(
        (
            "다",
            "도",
            "두",
            "가합",
            "가단",
            "고단",
            "고합",
            "나",
            "노",
            "누",
            "구합",
            "헌바",
            "헌마",
            "카합",
            "느단",
            "드단",
            "머",
            "차",
            "타경",
        )
    )
    return rng.choice(
        (f"대법원 {year}. 5. 11. 선고 {year}{code}{number} 판결", f"{year}{code}{number} 사건", f"서울중앙지방법원 {year}{code}{number}", f"사건번호 {year}{code}{number}호", f"대법원 {year % 100:02d}{rng.choice('다도누')}{rng.randint(1000, 9999)} 판결 참조", f"헌법재판소 {year}헌마{number} 결정", f"민원번호 1AA-{rng.randint(2000, 2612)}-{rng.randint(0, 9999999):07d}", f"도로교통과-{rng.randint(1000, 99999)}({year}. 3. 2.)호")
    )  # fmt: skip


def _parcel(rng: random.Random) -> str:
    a, b = rng.randint(1, 999), rng.randint(1, 99)
    return rng.choice(
        (f"국도 {b}호선 {a}km 지점", f"고속국도 제{a}호선", f"경부고속도로 {a}.{b}km 부근 사고", f"지번 {a}-{b} 토지를 편입합니다.", f"산 {a}-{b} 임야 {rng.randint(100, 9999)}㎡", f"용인시 처인구 포곡읍 마성리 {a}-{b} 필지", f"편입토지 조서: 경기도 화성시 동탄면 산척리 산 {a}-{b}, 임야", f"지방도 {a}호선 확장 공사",
         "서울 강남구 역삼동 일대", f"서해안고속도로 {a}번 나들목", f"올림픽대로 {b}개 차로 통제", f"강변북로 {a}m 구간", "경기도 성남시 분당구", f"세종대로 사거리에서 {a}m 직진", f"노선번호 {a}", f"국지도 {b}호선 {a}공구", f"지적도 {a}-{b}번지 경계 측량", f"필지번호 {a}-{b}", f"영동고속도로 강릉방향 {a}.{b}k", f"부산 해운대구 우동 {rng.randint(1000, 9000)}세대 공급", f"{a}번 국도에서 {b}번 국도로")
    )  # fmt: skip


def _amount(rng: random.Random) -> str:
    value = rng.randint(1000, 9_999_999_999)
    return rng.choice(
        (f"금 {value:,}원을 지급합니다.", f"총액 {value}원", f"{rng.randint(1, 99)}조 {rng.randint(1000, 9999)}억 원 규모", f"은행에 {value}원을 입금했습니다.", f"계좌에서 {value:,}원 이체", f"통행료 {rng.randint(1000, 99999)}원, 할인율 {rng.randint(1, 99)}.{rng.randint(1, 99)}%", f"{rng.randint(10, 999)}만 {rng.randint(1000, 9999)}명", f"$ {value:,}.00", f"{rng.randint(1000, 9999)}-{rng.randint(1000, 9999)}원대", f"면적 {rng.randint(1000, 99999)}.{rng.randint(10, 99)}㎡", f"{rng.randint(10, 99)}주 {rng.randint(1000, 9999)}명이 참여", f"카드 결제 {value}원", f"{rng.randint(10, 99)}도 {rng.randint(1000, 9999)}")
    )  # fmt: skip


def _code(rng: random.Random) -> str:
    def d(count: int) -> str:
        return _digits(rng, count)

    letters = "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=3))
    return rng.choice(
        (f"제품번호 {letters}-{d(4)}-{d(4)}", f"모델명 SM-{letters[0]}{d(3)}N", f"품번 {letters}{d(8)}", f"시리얼 번호 {d(6)}-{d(7)}", f"ISBN 978-89-{d(4)}-{d(3)}-{d(1)}", f"주문번호 {d(13)}", f"운송장번호 {d(4)}-{d(4)}-{d(4)}", f"송장 {d(12)}", f"접수번호 {rng.randint(2015, 2026)}-{d(5)}-{d(4)}", f"바코드 880{d(10)}", f"쿠폰번호 {d(4)}-{d(4)}-{d(4)}-{d(4)}",
         f"버전 {rng.randint(1, 20)}.{rng.randint(0, 30)}.{rng.randint(0, 30)}.{rng.randint(0, 200)}", f"v{rng.randint(1, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}로 업데이트", f"관리번호 {d(3)}-{d(2)}-{d(5)}", f"문서번호 {d(3)}-{d(2)}-{d(4)}", f"상품코드 M{d(8)}", f"학번 {rng.randint(2000, 2026)}{d(6)}", f"대표번호 1588-{d(4)}", f"1577-{d(4)}로 문의", f"우편번호 {d(5)}", f"고객센터 1{rng.choice(('544', '566', '599', '600', '644', '661', '666', '688', '800', '833', '899'))}-{d(4)}",
         f"UUID 550e8400-e29b-41d4-a716-{d(12)}", f"MAC 00:1A:2B:3C:4D:{d(2)}", f"해시 {d(4)}ab{d(6)}cd{d(8)}", f"좌표 37.{d(6)}, 126.{d(6)}", f"고객번호 {d(10)}", f"승인번호 {d(8)}", f"증권번호 {d(4)}-{d(4)}-{d(5)}", f"일련번호 {d(6)} {d(7)}", f"규격 KS F {d(4)}-{d(2)}", f"도면번호 {letters}-{d(3)}-{d(2)}")
    )  # fmt: skip


def corporate_number(rng: random.Random) -> str:
    """A corporation's registration number with a right check digit: nobody's personal data."""
    body = rng.choice(
        (
            "110111",
            "110114",
            "134111",
            "131111",
            "180111",
            "170111",
            "160111",
            "200111",
            "284111",
            "110121",
            "110171",
            "120111",
            "194211",
        )
    ) + _digits(rng, 6, "01234567")
    total = sum(int(digit) * (1 + place % 2) for place, digit in enumerate(body))
    return f"{body[:6]}-{body[6:]}{(10 - total % 10) % 10}"


def _corporation(rng: random.Random) -> str:
    number = corporate_number(rng)
    return rng.choice(
        (
            f"법인등록번호 {number}",
            f"법인등록번호: {number} 주식회사 한국도로",
            f"법인번호는 {number}입니다.",
            f"{number} (법인)",
            f"등기부의 법인등록번호({number})를 확인합니다.",
        )
    )


NEGATIVES: dict[str, Make] = {
    "timestamps": _timestamp, "law articles": _article, "case numbers": _case, "parcels and roads": _parcel, "amounts": _amount, "product codes": _code,
    "corporate numbers": _corporation,
}  # fmt: skip

HELD_OUT_NEGATIVES: tuple[Make, ...] = (
    lambda rng: f"배포 일시 {rng.randint(2020, 2026)}/{rng.randint(1, 12):02d}/{rng.randint(1, 28):02d} {rng.randint(0, 23):02d}시 {rng.randint(0, 59):02d}분, 빌드 {_digits(rng, 8)}",
    lambda rng: f"job_{rng.randint(2019, 2026)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{_digits(rng, 6)} 작업이 끝났습니다",
    lambda rng: f"created_at: {rng.randint(1_600_000_000_000, 1_799_999_999_999)}",
    lambda rng: f"유료도로법 시행규칙 제{rng.randint(1, 30)}조제{rng.randint(1, 9)}항 별표 {rng.randint(1, 9)}, 제{rng.randint(1, 99)}호서식 {rng.randint(1, 400)}쪽",
    lambda rng: f"원심판결 {rng.randint(2000, 2026)}나{_digits(rng, 6)}을 파기한다",
    lambda rng: f"행정심판 {rng.randint(2010, 2026)}-{_digits(rng, 5)} 재결",
    lambda rng: f"특허 제10-{_digits(rng, 7)}호, 출원 10-{rng.randint(2005, 2025)}-{_digits(rng, 7)}",
    lambda rng: f"중부내륙고속도로 {rng.randint(1, 300)}.{rng.randint(1, 9)}km 지점 {rng.randint(1, 4)}차로 공사",
    lambda rng: f"도로구역 변경: 충청남도 아산시 배방읍 장재리 {rng.randint(10, 999)}-{rng.randint(1, 99)} 답 {rng.randint(100, 9999)}㎡",
    lambda rng: f"양재IC에서 판교JC까지 {rng.randint(10, 99)}km, 교량 {rng.randint(100, 999)}개소",
    lambda rng: f"사업비 {rng.randint(1, 99)},{rng.randint(100, 999)}백만원(국비 {rng.randint(1000, 9999)}, 지방비 {rng.randint(1000, 9999)})",
    lambda rng: f"2026년 예산 {_digits(rng, 10, '123456789')}원 중 {_digits(rng, 9, '123456789')}원 집행",
    lambda rng: f"단말기 일련번호 {_digits(rng, 16)}",
    lambda rng: f"부품코드 {_digits(rng, 3)}-{_digits(rng, 4)}-{_digits(rng, 4)} 재고 {rng.randint(1, 99)}개",
    lambda rng: f"택배 송장번호는 {_digits(rng, 10)}이에요",
    lambda rng: f"상품 {_digits(rng, 4)}-{_digits(rng, 5)} 주문이 {rng.randint(1, 30)}일 걸립니다",
    lambda rng: f"펌웨어를 {rng.randint(1, 12)}.{rng.randint(0, 20)}.{rng.randint(0, 20)}.{rng.randint(0, 99)}로 올렸습니다",
    lambda rng: f"예약번호 {_digits(rng, 6)}-{_digits(rng, 7)}로 확인됩니다",
    lambda rng: f"(주)한국도로 법인등록번호 {corporate_number(rng)}",
    lambda rng: f"하이패스 차로 {rng.randint(10, 99)}개소, 이용률 {rng.randint(10, 99)}.{rng.randint(1, 9)}%, {rng.randint(1000, 9999)}대 통과",
    lambda rng: f"경기도 남양주시 도로과 제{rng.randint(100, 999)}호 공고",
    lambda rng: f"표준품셈 {rng.randint(1, 9)}-{rng.randint(1, 9)}-{rng.randint(1, 9)} 항목 {_digits(rng, 4)}",
    lambda rng: f"전국 {rng.randint(100, 300)}개 영업소, 요금소 코드 {_digits(rng, 3)}",
    lambda rng: f"서울 강남구 방향 정체, 논현로에서 {rng.randint(1, 9)}km",
)  # fmt: skip


def positives(kind: Kind, count: int, seed: int, *, held_out: bool) -> Iterator[Sample]:
    """Sentences with one piece of personal data of the kind."""
    rng = random.Random(f"{seed}{kind.code}{held_out}")  # noqa: S311
    makers = list(MAKERS[kind].items())
    for number in range(count):
        group, make = makers[number % len(makers)]
        sentences = HELD_OUT[kind] if held_out else SENTENCES[kind]
        unlabelled = kind not in {Kind.ACCOUNT_NUMBER} and group not in _LABELLED
        if not held_out and unlabelled and rng.random() < 0.2:
            sentences = ANY_SENTENCES
        before, behind = rng.choice(sentences).split("{v}")
        before, behind = before.replace("{{", "{"), behind.replace("}}", "}")
        value = make(rng)
        yield Sample(before + value + behind, kind, len(before), len(before) + len(value), group.strip())


def negatives(count: int, seed: int, *, held_out: bool) -> Iterator[Sample]:
    """Sentences without personal data."""
    rng = random.Random(f"{seed}{held_out}")  # noqa: S311
    groups = list(NEGATIVES.items())
    for number in range(count):
        if held_out:
            place = number % len(HELD_OUT_NEGATIVES)
            yield Sample(HELD_OUT_NEGATIVES[place](rng), None, group=f"held out {place}")
        else:
            group, make = groups[number % len(groups)]
            yield Sample(make(rng), None, group=group)
