"""Complaints, call transcripts, tables, forms, chats and scans with made-up personal data, and the same kinds of texts without any.

Written before the recognisers were looked at and by another hand than `personal_data_samples`, so that a form which both
the rules and those sentences forgot has a chance to be missed here. `{phone}` is a value that must be found; every other
field (`{d4}`, `{amount}`, …) is a number that is no personal data. Names stand in the texts as anyone writes them, but
are not judged here.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contracts.enums import PersonalDataKind as Kind

Make = Callable[[random.Random], str]


@dataclass(frozen=True, slots=True)
class Planted:
    """Where a value stands in a letter."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A text, the values in it that must be found, and the style it is written in."""

    text: str
    planted: tuple[Planted, ...]
    style: str
    template: str


def _d(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _wide(text: str) -> str:
    return text.translate({ord(one): ord(one) - ord("0") + ord("０") for one in "0123456789"})


def _apart(text: str) -> str:
    """As a scanner reads widely set print."""
    return " ".join(text)


def _number_pair(rng: random.Random, *, foreign: bool) -> tuple[str, str]:
    year, month, day = rng.randint(1941, 2023), rng.randint(1, 12), rng.randint(1, 28)
    born = f"{year % 100:02}{month:02}{day:02}"
    first = rng.choice("78" if year >= 2000 else "56") if foreign else rng.choice("34" if year >= 2000 else "12")
    if year >= 2021 or rng.random() < 0.2:
        return born, first + _d(rng, 6)
    body = born + first + _d(rng, 5)
    weighed = sum(int(one) * weight for one, weight in zip(body, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True))
    return born, body[6:] + str(((13 if foreign else 11) - weighed % 11) % 10)


def _rrn(rng: random.Random) -> str:
    return "-".join(_number_pair(rng, foreign=False))


def _rrn_bare(rng: random.Random) -> str:
    return "".join(_number_pair(rng, foreign=False))


def _rrn_loose(rng: random.Random) -> str:
    return rng.choice((" - ", " ", "–", "~", " -", "‐")).join(_number_pair(rng, foreign=False))


def _frn(rng: random.Random) -> str:
    return "-".join(_number_pair(rng, foreign=True))


def _frn_loose(rng: random.Random) -> str:
    return rng.choice((" - ", " ", "–", "")).join(_number_pair(rng, foreign=True))


def _mobile(rng: random.Random) -> str:
    return rng.choice(("-", "-", "-", ".", " ", "")).join(("010", str(rng.randint(2, 9)) + _d(rng, 3), _d(rng, 4)))


def _old_mobile(rng: random.Random) -> str:
    return "-".join((rng.choice(("011", "016", "017", "018", "019")), str(rng.randint(2, 9)) + _d(rng, 2), _d(rng, 4)))


def _landline(rng: random.Random) -> str:
    area = rng.choice(("02", "031", "032", "033", "041", "042", "043", "044", "051", "052", "053", "054", "055", "061", "062", "063", "064"))  # fmt: skip
    exchange = str(rng.randint(2, 8)) + _d(rng, rng.choice((2, 3)))
    return rng.choice((f"{area}-{exchange}-{{}}", f"{area}){exchange}-{{}}", f"({area}) {exchange}-{{}}", f"{area}.{exchange}.{{}}")).format(_d(rng, 4))  # fmt: skip


def _safe_number(rng: random.Random) -> str:
    return f"050{rng.randint(2, 7)}-{_d(rng, rng.choice((3, 4)))}-{_d(rng, 4)}"


def _from_abroad(rng: random.Random) -> str:
    return rng.choice(("+82 10-{}-{}", "+82-10-{}-{}", "82-10-{}-{}", "+82 (0)10 {} {}")).format(
        str(rng.randint(2, 9)) + _d(rng, 3), _d(rng, 4)
    )


_LOCAL = (
    "kimjs",
    "minsu.lee",
    "hello_world",
    "park-yj",
    "sun0712",
    "jiwoo.choi88",
    "k.h.jung",
    "bluesky",
    "team+road",
    "choi_sb",
)


def _email(rng: random.Random) -> str:
    domain = rng.choice(("naver.com", "gmail.com", "hanmail.net", "daum.net", "kakao.com", "nate.com", "ex.co.kr", "korea.kr", "snu.ac.kr", "outlook.com"))  # fmt: skip
    return f"{rng.choice(_LOCAL)}{rng.choice(('', _d(rng, 2), _d(rng, 3)))}@{domain}"


def _luhn(digits: str) -> str:
    total = 0
    for place, one in enumerate(reversed(digits)):
        value = int(one) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def _card(rng: random.Random) -> str:
    digits = _luhn((rng.choice(("4", "51", "52", "53", "94", "62", "356")) + _d(rng, 14))[:15])
    return rng.choice(("-", "-", " ", "")).join(digits[place : place + 4] for place in range(0, 16, 4))


def _account(rng: random.Random) -> str:
    shape = rng.choice(
        ("6-2-6", "3-4-4-2", "3-6-5", "4-2-7", "3-2-6", "6-2-5", "3-3-6", "4-3-6", "3-7-2-3", "14", "13", "12", "11")
    )
    return "-".join(_d(rng, int(one)) for one in shape.split("-"))


def _business_digits(rng: random.Random) -> str:
    body = str(rng.randint(101, 899)) + f"{rng.randint(1, 79):02}" + _d(rng, 4)
    total = sum(int(one) * weight for one, weight in zip(body, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=True))
    return body + str(-(total + int(body[8]) * 5 // 10) % 10)


def _business(rng: random.Random) -> str:
    digits = _business_digits(rng)
    return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"


def _passport(rng: random.Random) -> str:
    return rng.choice(
        (f"M{_d(rng, 8)}", f"M{_d(rng, 3)}{rng.choice('ABCDEFGH')}{_d(rng, 4)}", f"S{_d(rng, 8)}", f"R{_d(rng, 8)}")
    )


def _licence(rng: random.Random) -> str:
    area = rng.choice(
        ("11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "28")
    )
    return f"{area}-{rng.randint(0, 23):02}-{_d(rng, 6)}-{_d(rng, 2)}"


def _plate(rng: random.Random) -> str:
    letter = rng.choice("가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주하허호")
    front = rng.choice((str(rng.randint(10, 69)), str(rng.randint(100, 699))))
    return rng.choice((f"{front}{letter}{{}}", f"{front}{letter} {{}}")).format(str(rng.randint(1, 9)) + _d(rng, 3))


def _plate_with_region(rng: random.Random) -> str:
    region = rng.choice(("서울", "경기", "부산", "인천", "대구", "충남", "전북"))
    return f"{region} {rng.randint(70, 99)}{rng.choice('바사아자')} {rng.randint(1, 9)}{_d(rng, 3)}"


def _ip(rng: random.Random) -> str:
    return ".".join(
        (str(rng.choice((10, 112, 121, 175, 192, 203, 211, 223))), *(str(rng.randint(1, 254)) for _ in range(3)))
    )


_ROADS = (
    "테헤란로",
    "김천로",
    "율곡동로",
    "중앙대로",
    "세종대로",
    "번영로",
    "달구벌대로",
    "동일로",
    "강변북로",
    "한밭대로",
    "충장로",
    "백제대로",
)
_CITIES = ("서울특별시 강남구", "서울 노원구", "경기도 성남시 분당구", "경기 화성시", "부산광역시 해운대구", "경상북도 김천시", "대전 유성구", "전북특별자치도 전주시 덕진구", "세종특별자치시", "제주특별자치도 서귀포시", "강원특별자치도 원주시", "충북 청주시 흥덕구")  # fmt: skip
_TOWNS = (
    "역삼동",
    "상계동",
    "정자동",
    "율곡동",
    "봉명동",
    "우동",
    "송천동",
    "조치원읍 신흥리",
    "남면 부상리",
    "단계동",
    "복대동",
    "동탄면 오산리",
)


def _road_address(rng: random.Random) -> str:
    branch = rng.choice(("", "", f"{rng.randint(2, 90)}번길", f"{rng.randint(2, 60)}길"))
    number = rng.choice((str(rng.randint(1, 450)), f"{rng.randint(1, 300)}-{rng.randint(1, 30)}"))
    more = rng.choice(("", f", {rng.randint(101, 130)}동 {rng.randint(101, 2504)}호", f" {rng.randint(2, 20)}층", f" ({rng.choice(('역삼동', '율곡동', '우동'))})"))  # fmt: skip
    return f"{rng.choice(_CITIES)} {rng.choice(_ROADS)}{branch} {number}{more}"


def _lot_address(rng: random.Random) -> str:
    lot = rng.choice((f"{rng.randint(1, 990)}-{rng.randint(1, 40)}", f"{rng.randint(1, 990)}번지", f"산 {rng.randint(1, 99)}-{rng.randint(1, 20)}"))  # fmt: skip
    more = rng.choice(("", f" {rng.randint(101, 130)}동 {rng.randint(101, 2504)}호", " 2층"))
    return f"{rng.choice(_CITIES)} {rng.choice(_TOWNS)} {lot}{more}"


VALUES: dict[str, tuple[Kind, Make]] = {
    "rrn": (Kind.RESIDENT_NUMBER, _rrn),
    "rrn_bare": (Kind.RESIDENT_NUMBER, _rrn_bare),
    "rrn_loose": (Kind.RESIDENT_NUMBER, _rrn_loose),
    "rrn_wide": (Kind.RESIDENT_NUMBER, lambda rng: _wide(_rrn(rng))),
    "rrn_apart": (Kind.RESIDENT_NUMBER, lambda rng: _apart(_rrn(rng))),
    "frn": (Kind.FOREIGNER_NUMBER, _frn),
    "frn_loose": (Kind.FOREIGNER_NUMBER, _frn_loose),
    "frn_wide": (Kind.FOREIGNER_NUMBER, lambda rng: _wide(_frn(rng))),
    "mobile": (Kind.PHONE_NUMBER, _mobile),
    "mobile_wide": (Kind.PHONE_NUMBER, lambda rng: _wide(_mobile(rng))),
    "mobile_apart": (Kind.PHONE_NUMBER, lambda rng: _apart("010" + str(rng.randint(2, 9)) + _d(rng, 7))),
    "old_mobile": (Kind.PHONE_NUMBER, _old_mobile),
    "landline": (Kind.PHONE_NUMBER, _landline),
    "safe": (Kind.PHONE_NUMBER, _safe_number),
    "abroad": (Kind.PHONE_NUMBER, _from_abroad),
    "email": (Kind.EMAIL, _email),
    "email_wide": (Kind.EMAIL, lambda rng: _email(rng).replace("@", "＠")),
    "card": (Kind.CARD_NUMBER, _card),
    "card_wide": (Kind.CARD_NUMBER, lambda rng: _wide(_card(rng))),
    "account": (Kind.ACCOUNT_NUMBER, _account),
    "account_wide": (Kind.ACCOUNT_NUMBER, lambda rng: _wide(_account(rng))),
    "business": (Kind.BUSINESS_NUMBER, _business),
    "business_bare": (Kind.BUSINESS_NUMBER, _business_digits),
    "passport": (Kind.PASSPORT_NUMBER, _passport),
    "licence": (Kind.DRIVER_LICENCE_NUMBER, _licence),
    "licence_wide": (Kind.DRIVER_LICENCE_NUMBER, lambda rng: _wide(_licence(rng))),
    "licence_bare": (Kind.DRIVER_LICENCE_NUMBER, lambda rng: _licence(rng).replace("-", "")),
    "plate": (Kind.CAR_PLATE, _plate),
    "plate_region": (Kind.CAR_PLATE, _plate_with_region),
    "ip": (Kind.IP_ADDRESS, _ip),
    "road": (Kind.ADDRESS, _road_address),
    "lot": (Kind.ADDRESS, _lot_address),
}


def _number(digits: int) -> Make:
    return lambda rng: str(rng.randint(1, 9)) + _d(rng, digits - 1)


FIELDS: dict[str, Make] = {
    "year": lambda rng: str(rng.randint(2015, 2026)),
    "mon": lambda rng: str(rng.randint(1, 12)),
    "day": lambda rng: str(rng.randint(1, 28)),
    "mm": lambda rng: f"{rng.randint(1, 12):02}",
    "dd": lambda rng: f"{rng.randint(1, 28):02}",
    "HH": lambda rng: f"{rng.randint(0, 23):02}",
    "MM": lambda rng: f"{rng.randint(0, 59):02}",
    "n": lambda rng: str(rng.randint(1, 99)),
    "n3": lambda rng: str(rng.randint(100, 999)),
    "small": lambda rng: str(rng.randint(1, 9)),
    "amount": lambda rng: f"{rng.randint(1, 9_999) * 100:,}",
    "big": lambda rng: f"{rng.randint(10_000_000, 99_999_999_999):,}",
    "won": lambda rng: str(rng.randint(1, 99_999) * 100),
    "AB": lambda rng: "".join(rng.choice("ABCDEFGHKLMNPRSTUVWX") for _ in range(2)),
    **{f"d{count}": _number(count) for count in range(2, 21)},
    "road_name": lambda rng: rng.choice(
        ("경부", "영동", "호남", "서해안", "중부내륙", "남해", "중앙", "서울양양", "당진영덕")
    ),
    "gate": lambda rng: rng.choice(("서울", "동수원", "김천", "북대구", "서대전", "군산", "원주", "남양주", "통도사")),
    "court": lambda rng: rng.choice(("대법원", "서울고등법원", "대전지방법원", "헌법재판소", "수원지법")),
    "case": lambda rng: rng.choice(("다", "두", "도", "가합", "가단", "구합", "노", "나", "헌마", "헌바", "카합")),
}

# style, text
LETTERS: tuple[tuple[str, str], ...] = (
    # complaints
    ("complaint", "{year}년 {mon}월 {day}일 {gate}영업소에서 통행료 {amount}원이 두 번 빠졌습니다. 차번호 {plate}이고 연락은 {mobile}로 주세요."),
    ("complaint", "안녕하십니까. 저는 {road}에 사는 주민입니다. 방음벽 때문에 민원 넣은 게 벌써 {n}번째입니다."),
    ("complaint", "환불이 안 들어와서요... 농협 {account} 예금주 본인입니다. 확인 부탁드려요"),
    ("complaint", "지난번에 알려드린 {email}은 안 쓰니까 {email}으로 답변 주시기 바랍니다."),
    ("complaint", "고장 신고했더니 {landline}번으로 전화하라 하고 거기선 또 {landline}로 하라네요. 뭐 하자는 겁니까?"),
    ("complaint", "제 차({plate})가 하이패스 차로를 지났는데 미납이라고 문자가 왔어요. 단말기 번호가 바뀐 건가요"),
    ("complaint", "본인 확인이 필요하다고 하셔서 적습니다. 주민번호 {rrn}, 면허번호 {licence}"),
    ("complaint", "저희 아버지가 {lot}에서 농사를 지으시는데 공사장 흙탕물이 밭으로 들어옵니다."),
    ("complaint", "영수증을 사업자번호 {business}로 다시 끊어 주실 수 있는지요."),
    ("complaint", "휴게소에서 결제한 카드 {card}로 같은 금액 {amount}원이 세 번 승인됐습니다!!!"),
    ("complaint", "영주권자라서 외국인등록번호 {frn}밖에 없는데 누리집 가입이 안 됩니다."),
    ("complaint", "여권 {passport}으로 렌터카를 빌렸던 사람인데 통행료 고지서가 왔네요."),
    # call centre
    ("call", "상담원: 연락처 말씀해 주시겠어요?\n고객: 네 {mobile}이요.\n상담원: {mobile} 맞으실까요?"),
    ("call", "고객: 주민번호요? {rrn_loose}입니다\n상담원: 네 확인되셨습니다."),
    ("call", "[00:0{small}:{MM}] 고객> 카드번호가요, {card} 이고요\n[00:0{small}:{MM}] 상담사> 유효기간도 불러 주세요"),
    ("call", "상담원: 환급받으실 계좌번호 부탁드립니다.\n고객: 국민은행이고 {account}이에요."),
    ("call", "고객: 차량번호는 {plate_region}입니다. 화물차예요.\n상담원: 네, 조회해 보겠습니다."),
    ("call", "고객: 메일로 보내 주세요. {email}요.\n상담원: 네, {email} 맞으시죠?"),
    ("call", "고객: 주소는 {road}예요\n상담원: 우편물 그쪽으로 보내 드리겠습니다"),
    ("call", "상담원: 면허번호 열두 자리 불러 주시겠어요?\n고객: 네 {licence}요"),
    ("call", "고객: 저 외국 사람인데요 등록번호 {frn_loose} 이거 맞아요?"),
    ("call", "상담사: 여권번호로 조회하겠습니다.\n고객: {passport}이요, 엠 다음에 숫자요."),
    ("call", "고객: 안심번호로 와서 그런데 {safe} 이 번호가 거기 맞나요?"),
    ("call", "상담사: 사업자등록번호가 어떻게 되세요?\n고객: {business_bare}요. 개인사업자입니다."),
    # tables
    ("table", "| 성명 | 주민등록번호 | 연락처 |\n|---|---|---|\n| 김서준 | {rrn} | {mobile} |\n| 이하은 | {rrn} | {mobile} |"),
    ("table", "번호\t성명\t차량번호\t연락처\n1\t박도윤\t{plate}\t{mobile}\n2\t최지우\t{plate}\t{old_mobile}"),
    ("table", "이름,이메일,휴대폰\n정예은,{email},{mobile}\n강시우,{email},{mobile}"),
    ("table", "| 은행 | 계좌번호 | 예금주 |\n| 신한 | {account} | 윤서연 |\n| 하나 | {account} | 장민준 |"),
    ("table", "상호\t사업자등록번호\t소재지\n한빛상회\t{business}\t{road}"),
    ("table", "| 접수 | 신청인 | 주소 |\n| {n} | 임수아 | {lot} |\n| {n} | 한지호 | {road} |"),
    ("table", "성명;면허번호;차량번호\n오유진;{licence};{plate}"),
    ("table", "국적|여권번호|외국인등록번호\n베트남|{passport}|{frn}\n몽골|{passport}|{frn}"),
    ("table", "접속시각\t아이피\t아이디\n{year}-{mm}-{dd} {HH}:{MM}\t{ip}\tuser{n}\n{year}-{mm}-{dd} {HH}:{MM}\t{ip}\tuser{n}"),
    ("table", "카드사 | 카드번호 | 승인금액\n비씨 | {card} | {amount}\n삼성 | {card} | {amount}"),
    # forms
    ("form", "신청인 성명: 서지안\n생년월일 및 주민등록번호: {rrn}\n주소: {road}\n전화: {landline} (휴대전화 {mobile})\n전자우편: {email}"),
    ("form", "1. 성명 : 신하준\n2. 주민등록번호 : {rrn_bare}\n3. 연락처 : {mobile}\n4. 환급계좌 : 우리은행 {account}"),
    ("form", "□ 차량번호: {plate}\n□ 운전면허번호: {licence}\n□ 하이패스카드번호: {card}"),
    ("form", "[외국인 신청서]\n외국인등록번호 {frn}\n여권번호 {passport}\n국내 체류지 {lot}"),
    ("form", "사업체명: 푸른들농원\n대표자: 권은우\n사업자등록번호: {business}\n소재지: {lot}\n대표전화: {landline}"),
    ("form", "입금은행/계좌: 카카오뱅크 / {account}\n예금주: 황지민"),
    ("form", "위임하는 사람 주소 {road} 전화번호 {mobile}\n위임받는 사람 주소 {lot} 전화번호 {mobile}"),
    ("form", "주민등록번호(외국인등록번호): {frn}"),
    ("form", "결제수단: 신용카드({card}), 할부 {small}개월"),
    ("form", "면허의 종류: 1종 보통 / 면허번호: {licence} / 적성검사기간: {year}.{mm}.{dd}."),
    ("form", "접속 IP : {ip}\n접수일시 : {year}.{mm}.{dd} {HH}:{MM}"),
    # chat
    ("chat", "ㅋㅋㅋ 내 번호 바꼈어 📱{mobile} 저장해"),
    ("chat", "엄마 계좌👉{account} 국민은행 ㅠㅠ 오늘까지 보내줘"),
    ("chat", "메일주소😀{email}😀 여기로 ㄱㄱ"),
    ("chat", "🚗{plate} 차주분 차 좀 빼주세요ㅜㅜ"),
    ("chat", "택배 {road}로 보내주면 됨ㅇㅇ 부재시 {mobile}"),
    ("chat", "주민번호 불러달래서 {rrn} 이라고 했음ㅋㅋ 괜찮겠지?"),
    ("chat", "카드번호💳{card}💳 이걸로 결제해"),
    ("chat", "{mobile}ㅇㅇ 이 번호로 카톡해"),
    ("chat", "형 토스 {account} 로 보내면 돼?"),
    ("chat", "카톡 안되면 {abroad}로 문자해줘요~~"),
    ("chat", "공유기 들어가려면 {ip} 치면 나와ㅋ"),
    ("chat", "여권사진 찍어서 보냄 번호는 {passport}야"),
    ("chat", "외국인등록증 번호 {frn}임ㅇㅇ"),
    ("chat", "면허증번호 {licence}래 ㅎㅎ 렌트 예약할때 써"),
    ("chat", "사업자 {business} 이걸로 세금계산서 부탁~"),
    # scans
    ("scan", "주 민 등 록 번 호  {rrn_apart}"),
    ("scan", "성 명 : 배 서 윤   주민등록번호 : {rrn_loose}"),
    ("scan", "연 락 처 : {mobile_apart}"),
    ("scan", "전 화  {landline}   팩 스  {landline}"),
    ("scan", "주      소   {lot}"),
    ("scan", "등록번호 {business}   상 호  우리식당   성 명  조 이 현"),
    ("scan", "자동차등록번호 {plate}  용도 자가용"),
    ("scan", "운 전 면 허 번 호 : {licence}"),
    ("scan", "외국인 등록번호 {frn_loose}  국적 CHINA"),
    ("scan", "여 권 번 호   {passport}   발 급 일   {year}. {mm}. {dd}."),
    ("scan", "계 좌 번 호   {account}   은 행 명   기업은행"),
    ("scan", "카 드 번 호   {card}   유 효 기 간   {mm}/{n}"),
    # full width
    ("full width", "연락처　{mobile_wide}　로　부탁드립니다"),
    ("full width", "주민등록번호：{rrn_wide}"),
    ("full width", "외국인등록번호：{frn_wide}（본인）"),
    ("full width", "카드번호：{card_wide}"),
    ("full width", "계좌번호：{account_wide}（농협）"),
    ("full width", "면허번호：{licence_wide}"),
    ("full width", "전자우편：{email_wide}"),
    # logs, code and signatures
    ("log", '{{"name": "문채원", "phone": "{mobile}", "email": "{email}", "rrn": "{rrn}"}}'),
    ("log", "{year}-{mm}-{dd}T{HH}:{MM}:00 INFO login ok client={ip} uid={d6}"),
    ("log", "GET /refund?tel={mobile}&plate={d3} HTTP/1.1 from {ip}"),
    ("log", "ssh admin@{ip} 로 접속 후 재시작"),
    ("log", "<td>{mobile}</td><td>{email}</td>"),
    ("signature", "영업본부 대리 손다은 드림\nT. {landline} M. {mobile}\nE. {email}\n{road}"),
    ("signature", "한국도로 주식회사 | 사업자등록번호 {business} | 대표 남궁민 | Tel {landline} | Fax {landline}"),
    ("signature", "문의: 교통관리팀 안재현 과장(☎{landline}, {email})"),
    # particles and brackets right beside the value
    ("particle", "가입자는 {mobile}과 {email}을 함께 등록하였고, {rrn}의 소유자이다."),
    ("particle", "{plate}는 {gate}나들목에서, {plate}도 같은 곳에서 단속되었다."),
    ("particle", "{ip}에서 {HH}시경 접속한 기록이 있고 {ip}에서도 있었다."),
    ("particle", "본인 명의 통장({account})에서만 자동이체가 되며 카드({card})도 됩니다."),
    ("particle", "여권번호{passport}인 사람과 면허번호{licence}인 사람은 같다"),
    ("particle", "거주지가 {lot}인 자와 {road}인 자"),
    ("particle", "사업자등록번호가 {business}인 업체와 외국인등록번호가 {frn}인 대표"),
    ("particle", "면허번호 {licence_bare}로 조회"),
)  # fmt: skip

LOOK_ALIKES: tuple[tuple[str, str], ...] = (
    ("time", "{year}{mm}{dd}{HH}{MM}{MM} 백업 완료"),
    ("time", "{year}.{mm}.{dd}. {HH}:{MM}~{HH}:{MM} 차로 통제"),
    ("time", "점검 시각 {HH}:{MM}:{MM}.{d3}, 다음 점검 {year}/{mm}/{dd}"),
    ("time", "log_{year}{mm}{dd}_{HH}{MM}{MM}_{d6}.txt 첨부"),
    ("time", "epoch 17{d8} 에 시작해서 17{d8}에 끝났다"),
    ("time", "접수번호 {year}-{mm}{dd}-{d6} 처리 완료되었습니다"),
    ("law", "도로법 제{n}조의{small}제{small}항제{small}호 및 같은 법 시행령 제{n}조"),
    ("law", "유료도로법(법률 제{d5}호, {year}. {mon}. {day}. 일부개정) 부칙 제{small}조"),
    ("law", "국토교통부령 제{d4}호 별표 {n} 제{small}호가목{n})"),
    ("law", "국토교통부 고시 제{year}-{d4}호에 따라"),
    ("law", "의안번호 22{d5}, 제안일 {year}. {mm}. {dd}."),
    ("case", "{court} {year}. {mon}. {day}. 선고 {year}{case}{d5} 판결"),
    ("case", "{court} {year}{case}{d6}호 사건 참조"),
    ("case", "중앙행심 {year}-{d5} 재결, 조심 {year}서{d4}"),
    ("case", "감사원 {year}-감-{d4} 처분요구"),
    ("land", "편입토지 {n}필지 중 {n3}-{n}, {n3}-{n}번지 지목 전, 면적 {d4}㎡"),
    ("land", "산{n}-{small} 임야 {d5}㎡ 분할"),
    ("land", "지방도 {n3}호선과 국도 {n}호선 교차로, 시도{n}호"),
    ("land", "도로구역 변경: 폭 {n}.{small}m, 연장 {small}.{d3}km, 면적 {amount}㎡"),
    ("km post", "{road_name}선 서울방향 {n3}.{small}k 지점 2차로 작업"),
    ("km post", "{road_name}고속도로 {n3}.{d2}km~{n3}.{d2}km 포장 보수, STA.{n}+{d3}"),
    ("km post", "{gate}IC~{gate}JCT {n}.{small}km 정체, {n3}k+{d3} 사고 처리 중"),
    ("km post", "교량번호 {d4}-{d3}-{d2}, 터널번호 {d4}-{d3}"),
    ("gate", "영업소코드 {d3}, 차로번호 {d2}, 근무번호 {d4}-{d2}"),
    ("gate", "영업소 {gate}({d3}) 하이패스 차로 {small}번 처리 {amount}대"),
    ("gate", "통행권 번호 {d3}-{d2}-{d8} 출구 미확인"),
    ("gate", "통행번호 {d16} 입구 {gate} 출구 {gate}"),
    ("amount", "총사업비 {big}원, 국비 {big}원, 지방비 {big}원"),
    ("amount", "통행료 {won}원 + 과태료 {won}원 = {won}원"),
    ("amount", "금 {big}원정(₩{big})을 지급한다"),
    ("amount", "예산과목 {d4}-{d3}-{d2} 집행액 {big}천원"),
    ("amount", "매출 {d3}-{d2}억, 이익률 {n}.{small}%, 환율 1,{d3}.{d2}"),
    ("product", "단말기 모델 {AB}-{d4}{AB}, 일련번호 {AB}{d8}"),
    ("product", "부품번호 {d5}-{d5}, 규격 KS D {d4}, 수량 {n}EA"),
    ("product", "물품식별번호 {d8}, 물품분류번호 {d8}, 조달 제{d11}호"),
    ("product", "ISBN 979-11-{d4}-{d3}-{small}, 정가 {amount}원"),
    ("product", "바코드 880{d10}, 유통기한 {year}.{mm}.{dd}"),
    ("product", "NSN 5930-37-{d3}-{d4} 스위치 조립체"),
    ("version", "펌웨어 v{small}.{n}.{n} → v{small}.{n}.{n} 갱신, 빌드 {d5}"),
    ("version", "python 3.{n}.{small}, torch {small}.{n}.{small}+cu{d3}, driver {d3}.{d2}.{d2}"),
    ("version", "Chrome/{n3}.0.{d4}.{d2} Safari/537.36"),
    ("version", "문서번호 도로관리과-{d5}({year}. {mon}. {day}.) 관련"),
    ("version", "소프트웨어 버전 {small}.{n}.{small}.{n} 설치"),
    ("parcel", "운송장번호 {d12} 배송 출발"),
    ("parcel", "송장 {d4}-{d4}-{d4} 조회하시면 나와요"),
    ("parcel", "등기번호 {d5}-{d4}-{d4} 우체국"),
    ("parcel", "주문번호 {year}{mm}{dd}-{d7} 입금 확인"),
    ("parcel", "주문 {d10} 상품준비중 / 예약번호 {AB}{d6}"),
    ("office", "법인등록번호 {d6}-{d7} 자본금 {big}원"),
    ("office", "입찰공고 제{year}-{d3}호, 공고번호 {d11}-{d2}"),
    ("office", "계약번호 {year}-{d4}-{d3}, 과제번호 {d4}{d4}{AB}{d2}"),
    ("office", "사번 {d7}, 부서코드 {d5}, 내선 {d4}"),
    ("office", "좌표 37.{d6}, 127.{d6} (EPSG:5186 {d6}.{d2}, {d6}.{d2})"),
    ("office", "국번 없이 1588-{d4}은 아니고 대표번호는 112, 119, 120입니다"),
    ("chat", "점수 {n}-{n}로 졌음ㅋㅋ {n3}:{n3}이었나"),
    ("chat", "로또 {n} {n} {n} {n} {n} {n} 나왔어🎉 {d4}회"),
    ("chat", "{year}학번 {n}기 {n3}호 강의실 {HH}:{MM}까지⏰"),
    ("sensor", "VDS {d3}-{d4} 속도 {n}km/h 점유율 {n}.{d2}% 교통량 {d4}"),
    ("sensor", "측정값 {d3}.{d3} {d3}.{d3} {d3}.{d3} {d3}.{d3}"),
    ("sensor", "0x{d8} 레지스터 {d16} 체크섬 {d10}"),
    ("table", "연번\t노선번호\t연장(km)\t개통일\n1\t{n3}\t{n}.{small}\t{year}.{mm}.{dd}\n2\t{n3}\t{n}.{small}\t{year}{mm}{dd}"),
    ("table", "| 코드 | 수량 | 금액 |\n| {d6}-{d2} | {n} | {amount} |\n| {d6}-{d2} | {n} | {big} |"),
    ("full width", "제{n}조（통행료）　{year}년　{mon}월　{day}일　시행"),
)  # fmt: skip

LATER_LETTERS: tuple[tuple[str, str], ...] = (
    ("office", '팀장님 보고드립니다. 민원인({mobile})이 {road} 앞 가로등이 꺼졌다고 신고하였습니다.'),
    ("office", '* 회신처 {email} / 담당 내선 {d4}'),
    ("office", '사고 차량은 {plate}이며 운전자 면허는 {licence}로 확인됨'),
    ("office", '송금 계좌 확인 바랍니다: 기업 {account}'),
    ("office", '고객번호 {d8} / 카드 {card} / 결제일 매월 {day}일'),
    ("office", 'Name: Kim, Phone: {abroad}, Email: {email}'),
    ("office", '등본상 주민번호가 {rrn}으로 되어 있는데 시스템에는 다르게 나옵니다'),
    ("office", '체류카드 {frn} 소지자 / 여권 {passport}'),
    ("office", '로그인 실패 {n}회 (IP {ip})'),
    ("office", '세금계산서 발행 요청: 등록번호 {business}, 상호 다온건설'),
    ("office", '{plate}, {plate}, {plate} 이상 3대 견인 조치'),
    ("office", '수취인 서지우 {mobile}\n{lot}\n부재 시 문 앞에 놓아 주세요'),
    ("office", '전화번호가 {landline}에서 {landline}로 바뀌었습니다.'),
    ("office", '통장 사본의 번호는 {account}, 은행은 신협입니다.'),
    ("office", '보호자 연락처={mobile};학생 주민번호={rrn}'),
    ("office", '「{road}」에 주소를 둔 피보험자'),
    ("office", '- 팩스: {landline}\n- 이메일: {email}\n- 사업자: {business}'),
    ("office", '재발급 신청서: 구 면허번호 {licence} 신 면허번호 {licence}'),
    ("office", '영문 여권정보: {passport}, 만료 {year}-{mm}-{dd}'),
    ("office", '방화벽에서 {ip} 대역 허용 요청, 게이트웨이 {ip}'),
    ("office", '택시 {plate_region} 기사님이 두고 내린 물건을 찾아 주셨어요'),
    ("office", '법무팀: 채무자 최은우({rrn}), 주소 {lot}'),
    ("office", '☎ {landline} 📠 {landline} 📧 {email}'),
    ("office", '문자 왔어요 [Web발신] {card} 승인 {amount}원 {mm}/{dd} {HH}:{MM}'),
    ("office", '소득공제용 현금영수증 번호는 {mobile}입니다'),
    ("office", '상속인의 외국인등록번호는 {frn}이고 계좌는 농협 {account}입니다'),
)  # fmt: skip
"""Written after what the letters above had shown was mended, and never tuned on."""

LATER_LOOK_ALIKES: tuple[tuple[str, str], ...] = (
    ("office", '제{n}차 이사회({year}.{mm}.{dd}. {HH}:{MM}) 의결사항 {n}건, 의안 제{year}-{n}호'),
    ("office", '구조물 점검표: 교량 {d3}-{d2}, 경간 {n}, 균열폭 0.{n}mm, 염화물 {small}.{n}kg/㎥'),
    ("office", '포장 두께 {n}cm, 다짐도 {n}.{small}%, 시험번호 {year}-{d4}'),
    ("office", '{road_name}선 {n3}.{small}km 지점 VMS-{d4} 문구 변경'),
    ("office", '환경영향평가 협의 제{d4}호, 소음 {n}.{small}dB, PM10 {n}㎍/㎥'),
    ("office", '예산서 {d3}-{d2} 항목 {big}원 이월, 집행률 {n}.{d2}%'),
    ("office", '하이패스 카드 발급 누적 {big}장, 전월 대비 {small}.{n}%'),
    ("office", 'CCTV-{d3}-{d2} 채널 {n} 녹화 {year}{mm}{dd}{HH}0000.mp4'),
    ("office", '시방서 KCS {d2} {d2} {d2}:{year}, KDS {d2} {d2} {d2}'),
    ("office", '부품 {AB}-{d3}-{d4}-{d2} 재고 {n}개, 발주 {year}{mm}{dd}-{d3}'),
    ("office", '노선버스 {d4}번, 배차 {n}분, 첫차 {HH}:{MM}'),
    ("office", '주가 {amount}원, 거래량 {big}주, 코스피 2,{d3}.{d2}'),
    ("office", '콜센터 응대율 {n}.{small}%, 총 {big}콜, 평균 {n}초'),
    ("office", '행정처분 {year}구합{d5}, {court} {year}.{mm}.{dd}. 선고'),
    ("office", '좌표(X {d6}.{d3}, Y {d6}.{d3}) 지하시설물 관리번호 {d12}'),
    ("office", '전자결재 문서번호 기획처-{d4}, 보존기간 {n}년, 쪽수 {n}/{n}'),
    ("office", '통행권 발행 {d10}번부터 {d10}번까지'),
    ("office", '철도건널목 {n3}호, 국도 {n}호선 {n}.{small}k, 접도구역 {n}m'),
    ("office", '물품번호 {d14}, 내용연수 {small}년'),
    ("office", '시험성적서 번호 {AB}{year}-{d6} 발급일 {year}년 {mon}월 {day}일'),
)  # fmt: skip

_SLOT = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def _filled(template: str, style: str, rng: random.Random) -> Letter:
    text, planted, done = "", [], 0
    for slot in _SLOT.finditer(template):
        text += template[done : slot.start()]
        done = slot.end()
        name = slot[1]
        if name is None:
            text += slot[0][0]
        elif name in VALUES:
            kind, make = VALUES[name]
            value = make(rng)
            planted.append(Planted(kind, len(text), len(text) + len(value)))
            text += value
        else:
            text += FIELDS[name](rng)
    return Letter(text + template[done:], tuple(planted), style, template)


def letters(of_each: int, seed: int, *, later: bool = False) -> Iterator[Letter]:
    """Texts with personal data, the same ones for the same seed."""
    rng = random.Random(seed)  # noqa: S311
    for style, template in LATER_LETTERS if later else LETTERS:
        for _ in range(of_each):
            yield _filled(template, style, rng)


def look_alikes(of_each: int, seed: int, *, later: bool = False) -> Iterator[Letter]:
    """Texts whose numbers are no personal data, the same ones for the same seed."""
    rng = random.Random(seed)  # noqa: S311
    for style, template in LATER_LOOK_ALIKES if later else LOOK_ALIKES:
        for _ in range(of_each):
            yield _filled(template, style, rng)
