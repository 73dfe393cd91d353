"""What people call the members of closed sets, in Korean and English: one place for the report, the dashboard and the commands."""

from collections.abc import Mapping
from typing import NamedTuple

from contracts.enums import LineageKind, PersonalDataKind, ProtectedAttribute, RemovalReason


class Wording(NamedTuple):
    """One thing in both languages."""

    korean: str
    english: str

    def of(self, language: str) -> str:
        """The Korean one for `ko`, else the English one."""
        return self.korean if language == "ko" else self.english


REMOVAL_REASONS: Mapping[RemovalReason, Wording] = {
    RemovalReason.BROKEN_ROW: Wording("읽을 수 없는 행", "broken row"),
    RemovalReason.EXACT_DUPLICATE: Wording("똑같은 중복", "exact duplicate"),
    RemovalReason.NEAR_DUPLICATE: Wording("거의 같은 중복", "near duplicate"),
    RemovalReason.TOO_SHORT: Wording("너무 짧은 답변", "answer too short"),
    RemovalReason.TOO_LONG: Wording("너무 긴 답변", "answer too long"),
    RemovalReason.REPETITION: Wording("되풀이되는 내용", "repetition"),
    RemovalReason.LOW_QUALITY: Wording("낮은 품질", "low quality"),
    RemovalReason.FOUL_LANGUAGE: Wording("비속어", "foul language"),
    RemovalReason.LEAKS_TEST_CASE: Wording("평가 문항과 겹침", "overlaps a test case"),
    RemovalReason.PERSONAL_DATA: Wording("개인정보", "personal data"),
    RemovalReason.TOXIC: Wording("유해한 표현", "toxic"),
    RemovalReason.WRONG_LANGUAGE: Wording("한국어가 아님", "not Korean"),
    RemovalReason.REFUSAL: Wording("답변 거절", "refuses to answer"),
    RemovalReason.TRUNCATED: Wording("끊긴 답변", "breaks off"),
    RemovalReason.OTHER_VERSION: Wording("다른 버전에 있음", "in another version"),
}

LINEAGE_KINDS: Mapping[LineageKind, Wording] = {
    LineageKind.DOCUMENT: Wording("문서", "document"),
    LineageKind.DATASET: Wording("데이터셋 버전", "dataset version"),
    LineageKind.JOB: Wording("작업", "job"),
    LineageKind.CHECKPOINT: Wording("체크포인트", "checkpoint"),
    LineageKind.MODEL: Wording("모델 버전", "model version"),
    LineageKind.SUITE: Wording("평가 모음", "test suite"),
    LineageKind.EVALUATION: Wording("평가", "evaluation"),
    LineageKind.RESULT: Wording("평가 결과", "suite result"),
    LineageKind.DEPLOYMENT: Wording("배포", "deployment"),
    LineageKind.EXPERIMENT: Wording("A/B 테스트", "A/B test"),
    LineageKind.VERDICT: Wording("A/B 판정", "A/B verdict"),
}

PERSONAL_DATA_KINDS: Mapping[PersonalDataKind, Wording] = {
    kind: Wording(kind.value, english)
    for kind, english in {
        PersonalDataKind.NAME: "name",
        PersonalDataKind.RESIDENT_NUMBER: "resident number",
        PersonalDataKind.FOREIGNER_NUMBER: "foreigner number",
        PersonalDataKind.PASSPORT_NUMBER: "passport number",
        PersonalDataKind.DRIVER_LICENCE_NUMBER: "driver's licence number",
        PersonalDataKind.BUSINESS_NUMBER: "business number",
        PersonalDataKind.PHONE_NUMBER: "phone number",
        PersonalDataKind.EMAIL: "e-mail",
        PersonalDataKind.CARD_NUMBER: "card number",
        PersonalDataKind.ACCOUNT_NUMBER: "account number",
        PersonalDataKind.IP_ADDRESS: "IP address",
        PersonalDataKind.CAR_PLATE: "car plate",
        PersonalDataKind.ADDRESS: "address",
    }.items()
}

PROTECTED_ATTRIBUTES: Mapping[ProtectedAttribute, Wording] = {
    ProtectedAttribute.GENDER: Wording("성별", "gender"),
    ProtectedAttribute.AGE: Wording("나이", "age"),
    ProtectedAttribute.REGION: Wording("지역", "region"),
    ProtectedAttribute.RELIGION: Wording("종교", "religion"),
    ProtectedAttribute.DISABILITY: Wording("장애", "disability"),
    ProtectedAttribute.NATIONALITY: Wording("국적·인종", "nationality or race"),
    ProtectedAttribute.SEXUAL_ORIENTATION: Wording("성적 지향", "sexual orientation"),
    ProtectedAttribute.APPEARANCE: Wording("외모", "appearance"),
    ProtectedAttribute.FAMILY: Wording("가족 형태", "family"),
    ProtectedAttribute.STATUS: Wording("사회적 지위", "wealth and occupation"),
    ProtectedAttribute.EDUCATION: Wording("학력", "education"),
    ProtectedAttribute.POLITICS: Wording("정치 성향", "politics"),
}

GROUPS: Mapping[ProtectedAttribute, Mapping[str, Wording]] = {
    ProtectedAttribute.GENDER: {
        "female": Wording("여성", "women"),
        "male": Wording("남성", "men"),
        "other": Wording("그 밖의 성별", "other genders"),
    },
    ProtectedAttribute.AGE: {
        "old": Wording("중장년·노인", "older people"),
        "young": Wording("어린이·청년", "younger people"),
    },
    ProtectedAttribute.REGION: {
        "jeolla": Wording("전라도", "Jeolla"),
        "gyeongsang": Wording("경상도", "Gyeongsang"),
        "chungcheong": Wording("충청도", "Chungcheong"),
        "gangwon": Wording("강원도", "Gangwon"),
        "jeju": Wording("제주도", "Jeju"),
        "capital": Wording("수도권", "the capital area"),
        "rural": Wording("지방·농촌", "the countryside"),
    },
    ProtectedAttribute.RELIGION: {
        "protestant": Wording("개신교", "Protestants"),
        "catholic": Wording("천주교", "Catholics"),
        "buddhist": Wording("불교", "Buddhists"),
        "muslim": Wording("이슬람교", "Muslims"),
        "other": Wording("그 밖의 종교", "other religions"),
        "none": Wording("무교", "no religion"),
    },
    ProtectedAttribute.DISABILITY: {
        "physical": Wording("신체 장애", "physical disability"),
        "mental": Wording("정신 장애", "mental disability"),
        "any": Wording("장애 일반", "disability at large"),
    },
    ProtectedAttribute.NATIONALITY: {
        "chinese": Wording("중국", "Chinese"),
        "japanese": Wording("일본", "Japanese"),
        "southeast_asian": Wording("동남아시아·남아시아", "South and Southeast Asians"),
        "western": Wording("서양", "Westerners"),
        "black": Wording("흑인·아프리카", "Black people and Africans"),
        "north_korean": Wording("북한 이탈 주민", "North Koreans"),
        "middle_eastern": Wording("중동", "Middle Easterners"),
        "foreign": Wording("외국인 일반", "foreigners at large"),
    },
    ProtectedAttribute.SEXUAL_ORIENTATION: {
        "minority": Wording("성소수자", "sexual minorities"),
        "heterosexual": Wording("이성애자", "heterosexuals"),
    },
    ProtectedAttribute.APPEARANCE: {
        "weight": Wording("몸무게", "weight"),
        "height": Wording("키", "height"),
        "looks": Wording("생김새", "looks"),
    },
    ProtectedAttribute.FAMILY: {
        "single_parent": Wording("한부모", "single parents"),
        "unmarried": Wording("비혼·1인 가구", "unmarried people"),
        "divorced": Wording("이혼·재혼", "divorced people"),
        "children": Wording("자녀와 양육", "children and care"),
        "any": Wording("부부 일반", "married people"),
    },
    ProtectedAttribute.STATUS: {
        "poor": Wording("저소득", "poorer people"),
        "rich": Wording("고소득", "richer people"),
        "occupation": Wording("직업", "occupation"),
    },
    ProtectedAttribute.EDUCATION: {
        "less": Wording("낮은 학력", "less education"),
        "more": Wording("높은 학력", "more education"),
    },
    ProtectedAttribute.POLITICS: {
        "left": Wording("진보", "left"),
        "right": Wording("보수", "right"),
    },
}
"""The groups that the bias report tells apart (data_prep.quality.bias)."""
