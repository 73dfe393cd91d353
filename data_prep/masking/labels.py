"""The words that say what a number is. The one nearest before it counts: `계좌 110-…, 주문번호 220-…`."""

import re
from dataclasses import dataclass
from enum import Enum, auto


class Meaning(Enum):
    """What a label announces."""

    RESIDENT = auto()
    FOREIGNER = auto()
    CORPORATION = auto()
    PASSPORT = auto()
    LICENCE = auto()
    BUSINESS = auto()
    PHONE = auto()
    CARD = auto()
    ACCOUNT = auto()
    BANK = auto()
    """A bank's short name, which is a common word otherwise (우리, 하나, 국민): counts right before a number only."""
    PLATE = auto()
    IP = auto()
    VERSION = auto()
    CODE = auto()
    """Orders, parcels, products, documents, cases: numbers that are no personal data."""


_WORDS: dict[Meaning, str] = {
    # "_" stands for a space that may be there
    Meaning.RESIDENT: (
        "주민_등록_번호 주민_번호 주민_등록증 주민_등록 주민등록상 주민 주번 민증 신분증 실명_확인_번호 실명_번호 실명_확인 식별_번호 "
        "개인_식별 주민증 rrn ssn resident_registration resident resident_number resident_no jumin"
    ),
    Meaning.FOREIGNER: (
        "외국인_등록_번호 외국인_번호 외국인_등록증 외국인_등록 외국인_고유_번호 국내_거소_신고_번호 거소_신고_번호 거소_번호 거소증 국내_거소 체류_자격 체류 "
        "외국인 frn arc alien_registration foreigner_registration foreigner alien"
    ),
    Meaning.CORPORATION: "법인_등록_번호 법인_번호 법인_등기_번호 법인_등기 등기_번호 등기부_등본 등기부 법인 corporate_registration corporate",
    Meaning.PASSPORT: "여권_번호 여권 passport_number passport_no passport 패스포트",
    Meaning.LICENCE: (
        "운전_면허_번호 운전_면허증_번호 운전_면허증 운전_면허 면허_번호 면허증_번호 면허증 면허 driver's_license drivers_license driver_license license licence"
    ),
    Meaning.BUSINESS: (
        "사업자_등록_번호 사업자_번호 사업자_등록증 사업자_등록 개인_사업자 간이_과세자 일반_과세자 면세_사업자 사업자 사업장 business_registration business_number business brn"
    ),
    Meaning.PHONE: (
        "전화_번호 휴대_전화_번호 휴대폰_번호 핸드폰_번호 휴대_전화 휴대폰 핸드폰 유선_전화 유선_번호 유선 무선_전화 집_전화 전화 연락처 연락_번호 비상_연락망 비상_연락처 연락 폰_번호 폰번 "
        "모바일 팩스_번호 팩스 문자_메시지 문자 콜백_번호 콜백 안심_번호 수신_번호 발신_번호 회신_번호 통화 직통 카톡 카카오톡 "
        "hp h.p phone mobile cellphone cell telephone tel fax call ☎ ☏ 📞 📱 ✆"
    ),
    Meaning.CARD: (
        "카드_번호 신용_카드 체크_카드 법인_카드 결제_카드 하이패스_카드 카드 비자 마스터카드 아멕스 credit_card card visa mastercard amex bc국내"
    ),
    Meaning.ACCOUNT: (
        "계좌_번호 계좌 통장_번호 통장 은행 뱅크 입금 송금 이체 예금주 예금 환불 환급 수취 지급_받을 정산 급여 월급 계돈 후원 납입 자동이체 cms "
        "새마을금고 우체국 신용_협동조합 신협 수협 축협 농협 저축은행 산림조합 카카오뱅크 카뱅 토스뱅크 토뱅 케이뱅크 케뱅 증권 iban "
        "국민은행 신한은행 우리은행 하나은행 기업은행 부산은행 대구은행 광주은행 전북은행 경남은행 제주은행 산업은행 수출입은행 씨티은행 아이엠뱅크 sc제일은행 sc제일 제일은행 외환은행 "
        "bank_account bank account acct"
    ),
    Meaning.BANK: "국민 신한 우리 하나 기업 씨티 외환 제일 산업 부산 대구 광주 전북 경남 제주 토스 케이 카카오 새마을 kb nh ibk keb sbi kdb sc ok im 페퍼 웰컴",
    Meaning.PLATE: (
        "차량_번호 차량_등록_번호 자동차_등록_번호 자동차_번호 차_번호 번호판 차량 자동차 승용차 승합차 화물차 트럭 택시 버스 차주 주차 제_차는 제_차가 제_차 내_차 우리_차 차는 차가 차를 "
        "car_plate license_plate plate 렌터카 렌트카 하이패스 견인 과태료 통행 미납"
    ),
    Meaning.IP: "ip_주소 ip_address ip주소 ipv4 ipv6 ip 아이피_주소 아이피 접속_주소 접속지 접속 접속한 로그인 서버 호스트 공인 사설 게이트웨이 프록시 ping 방화벽 차단 host server client",
    Meaning.VERSION: (
        "버전 버젼 version ver 릴리스 릴리즈 release 펌웨어 firmware 빌드 build 패치 patch sdk 업데이트 update 업그레이드 드라이버 라이브러리 패키지 "
        "소프트웨어 프로그램 os ios android 안드로이드 윈도우 windows 리눅스 linux 커널 kernel chrome 크롬 firefox 브라우저 openssl 조항 목차 oid v"
    ),
    Meaning.CODE: (
        "주문_번호 주문_코드 주문서_번호 주문서 주문 송장_번호 운송장_번호 운송장 송장 택배_번호 등기_우편_번호 배송_번호 배송_조회 추적_번호 접수_번호 접수증 접수 관리_번호 관리_코드 문서_번호 문서 공문 사건_번호 사건 "
        "일련_번호 시리얼_번호 시리얼_넘버 시리얼 제조_번호 제품_번호 제품_코드 제품 상품_번호 상품_코드 상품권_번호 상품권 상품 모델_번호 모델명 모델 품번 품목_코드 품목 부품_번호 부품 코드 바코드 자재 자산_번호 자산 "
        "도서_번호 쿠폰_번호 쿠폰 통행_번호 통행권_번호 통행권 예약_번호 승인_번호 거래_번호 거래_id 결제_번호 고객_번호 고객_코드 회원_번호 증권_번호 계약_번호 영수증_번호 영수증 발급_번호 발행_번호 허가_번호 허가 인증_번호 인증 고시 공고 특허 출원 "
        "대출_번호 청구_번호 청구서 민원_번호 신고_번호 티켓_번호 티켓 트랜잭션 로그 타임스탬프 시각 일시 기준시 요청_id 세션 식별자 아이템 로트 단말기_번호 장비_번호 장비 설비 계기_번호 계량기 기기_번호 기기 시험_번호 수험_번호 응시_번호 수험 "
        "학번 사번 고지서_번호 고지서 전자_납부_번호 납부_번호 가맹점_번호 노선_번호 노선 문의_번호 배치 파일 이미지 해시 규격 도면_번호 도면 공사_번호 과제_번호 사업_번호 입찰 "
        "isbn issn s/n sn serial order tracking invoice model product item sku lot timestamp epoch unix created_at updated_at created updated time ts date 생성_시각 수정_시각 kc인증 kc 특허_번호 등록_특허 id uuid no.코드"
    ),
}


@dataclass(frozen=True, slots=True)
class Label:
    """A label before a number."""

    meaning: Meaning
    gap: str
    """What stands between the label and the number."""
    word: str
    """The label, in lower case and without spaces."""

    @property
    def is_close(self) -> bool:
        """Hardly more than a particle, a colon or a bracket in between, in the same sentence."""
        return len(self.gap) <= 12 and _ENDS_SENTENCE.search(self.gap) is None

    @property
    def is_adjacent(self) -> bool:
        """Nothing but punctuation or a particle in between."""
        return len(self.gap) <= 6 and _LINK.fullmatch(self.gap) is not None

    @property
    def names_a_number(self) -> bool:
        """A code's label that stands for the number itself (`접수번호`), rather than for what is done (`접수`)."""
        return self.meaning is Meaning.CODE and _NUMBER_WORD.search(self.word) is not None

    @property
    def names_an_account(self) -> bool:
        """A bank or an account, rather than what is done with it (`환불`)."""
        return self.meaning is Meaning.BANK or (
            self.meaning is Meaning.ACCOUNT and _PAYMENT.fullmatch(self.word) is None
        )


_NUMBER_WORD = re.compile(
    r"번호|코드|시리얼|송장|모델명|품번|바코드|학번|사번|식별자|세션|해시|타임스탬프|id$|no$|isbn|issn|^s/?n$|sku|lot|"
    r"serial|tracking|timestamp|epoch|unix|_at$|특허|출원|고시|공고|uuid|쿠폰|상품권"
)
_PAYMENT = re.compile(
    r"입금|송금|이체|예금주|예금|환불|환급|수취|지급받을|정산|급여|월급|계돈|후원|납입|자동이체|cms|증권"
)
_LINK = re.compile(r"(?:은|는|이|가|을|를|로|으로|도|번호|번호는|번호가)?[^0-9A-Za-z가-힣]{0,4}")
_ENDS_SENTENCE = re.compile(r"[.!?。]\s|\n\s*\n|다\.|요\.")
_REACH = 40
_SPREAD = re.compile("[가-힣_]{3,}")


def _pattern(words: str) -> list[str]:
    """The words; Korean ones of three syllables and more also with their syllables apart, as forms and scans set them."""
    return [
        r"\s?".join(map(re.escape, word.replace("_", "") if _SPREAD.fullmatch(word) else word.split("_")))
        for word in words.split()
    ]


def _compiled() -> tuple[re.Pattern[str], dict[str, Meaning]]:
    meanings: dict[str, Meaning] = {}
    for meaning, words in _WORDS.items():
        for word in words.split():
            meanings.setdefault(word.replace("_", "").lower(), meaning)
    patterns = sorted({one for words in _WORDS.values() for one in _pattern(words)}, key=lambda one: (-len(one), one))
    # a Latin word is a label only as a whole word
    branches = [rf"(?<![a-z]){one}(?![a-z])" if re.match("[a-z]", one) else one for one in patterns]
    firsts = "".join(sorted({re.escape(word[0]) for word in meanings}))
    return re.compile(rf"(?=[{firsts}])(?:{'|'.join(branches)})", re.IGNORECASE), meanings


_LABEL, _MEANINGS = _compiled()
_SPACE = re.compile(r"\s+")


def label_before(text: str, start: int, ignore: frozenset[Meaning] = frozenset()) -> Label | None:
    """The nearest label before the place, at most 40 characters away."""
    nearest: tuple[Meaning, int, str] | None = None
    for match in _LABEL.finditer(text, max(0, start - _REACH), start):
        word = _SPACE.sub("", match[0]).lower()
        meaning = _MEANINGS[word]
        if meaning not in ignore:
            nearest = meaning, match.end(), word
    return None if nearest is None else Label(nearest[0], text[nearest[1] : start], nearest[2])
