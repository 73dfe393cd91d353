"""What people call the members of closed sets, in Korean and English: one place for the report, the dashboard and the commands."""

from collections.abc import Mapping
from typing import NamedTuple

from contracts.audit import AuditResult
from contracts.enums import (
    CaseFault,
    CompressionMethod,
    DeploymentState,
    LineageKind,
    PersonalDataKind,
    ProtectedAttribute,
    RemovalReason,
)


class Wording(NamedTuple):
    """One thing in both languages."""

    korean: str
    english: str

    def of(self, language: str) -> str:
        """The Korean one for `ko`, else the English one."""
        return self.korean if language == "ko" else self.english


def p_text(p_value: float) -> str:
    """`0.013`, or `< 0.001`: no p is 0."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def significance(p_value: float) -> str:
    """`p = 0.013`, or `p < 0.001`."""
    text = p_text(p_value)
    return f"p {text}" if text[0] == "<" else f"p = {text}"


AUDIT_RESULTS: Mapping[AuditResult, Wording] = {
    AuditResult.SUCCEEDED: Wording("성공", "succeeded"),
    AuditResult.REFUSED: Wording("거부", "refused"),
    AuditResult.FAILED: Wording("실패", "failed"),
}

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

DEPLOYMENT_STATES: Mapping[DeploymentState, Wording] = {
    DeploymentState.PLANNED: Wording("계획됨", "planned"),
    DeploymentState.STARTING: Wording("시작하는 중", "starting"),
    DeploymentState.HEALTHY: Wording("응답함", "healthy"),
    DeploymentState.PARITY_CHECKED: Wording("학습 결과와 일치함", "the same as trained"),
    DeploymentState.WARMED: Wording("준비됨", "warmed"),
    DeploymentState.SERVING: Wording("서비스 중", "serving"),
    DeploymentState.DRAINING: Wording("비우는 중", "draining"),
    DeploymentState.STOPPED: Wording("멈춤", "stopped"),
    DeploymentState.FAILED: Wording("실패", "failed"),
}

LINEAGE_COUNTS: Mapping[str, Wording] = {
    "rows": Wording("{n}행", "{n} rows"),
    "cases": Wording("{n}문항", "{n} cases"),
    "step": Wording("{n}스텝", "step {n}"),
}
LINEAGE_STATES: Mapping[str, Wording] = {
    "pending": Wording("대기", "pending"),
    "running": Wording("진행 중", "running"),
    "completed": Wording("완료", "completed"),
    "failed": Wording("실패", "failed"),
    "stopped": Wording("중지", "stopped"),
    "staging": Wording("준비", "staging"),
    "production": Wording("운영", "production"),
    "archived": Wording("보관", "archived"),
    "pass": Wording("합격", "pass"),
    "fail": Wording("불합격", "fail"),
    "undecided": Wording("보류", "undecided"),
}
"""Of a job, a model version, a gate or an A/B test; another word stands for itself."""

COMPRESSION_METHODS: Mapping[CompressionMethod, Wording] = {
    CompressionMethod.INT8: Wording(
        "INT8(가중치와 활성값 8비트 정수)", "INT8 (weights and activations in 8-bit integers)"
    ),
    CompressionMethod.FP8: Wording(
        "FP8(가중치와 활성값 8비트 부동소수점)", "FP8 (weights and activations in 8-bit floating point)"
    ),
    CompressionMethod.GPTQ: Wording("GPTQ(가중치 4비트)", "GPTQ (weights in 4 bits)"),
    CompressionMethod.AWQ: Wording("AWQ(가중치 4비트)", "AWQ (weights in 4 bits)"),
    CompressionMethod.WANDA: Wording(
        "Wanda(활성값에 비해 작은 가중치 제거)", "Wanda (weights small beside their activations removed)"
    ),
    CompressionMethod.MAGNITUDE: Wording("크기가 작은 가중치 제거", "the smallest weights removed"),
    CompressionMethod.NEURONS: Wording("피드포워드 뉴런 제거", "feed-forward neurons removed"),
    CompressionMethod.DISTILL: Wording(
        "증류(작은 학생 모델이 원본을 따라 배움)", "distillation (a student learns from it)"
    ),
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

CASE_FAULTS: Mapping[CaseFault, Wording] = {
    CaseFault.UNREADABLE: Wording("읽을 수 없는 행입니다", "the row cannot be read"),
    CaseFault.NO_QUESTION: Wording("질문이 비어 있습니다", "it has no question"),
    CaseFault.NO_ACCEPTED_ANSWER: Wording("정답이 비어 있습니다", "it has no accepted answer"),
    CaseFault.NO_LETTERS: Wording("정답에 글자도 숫자도 없습니다", "an accepted answer has no letter and no digit"),
    CaseFault.UNKNOWN_SCORER: Wording("없는 채점 방식입니다", "the scorer does not exist"),
    CaseFault.UNKNOWN_OPTION: Wording("이 채점 방식이 쓰지 않는 설정입니다", "the scorer does not know an option"),
    CaseFault.WRONG_OPTION: Wording("설정 값이 올바르지 않습니다", "an option has a value that cannot be"),
    CaseFault.NOT_A_NUMBER: Wording("정답이 수 하나가 아닙니다", "an accepted answer is not one number"),
    CaseFault.UNKNOWN_UNIT: Wording("모르는 단위입니다", "the unit is not known"),
    CaseFault.WRONG_PATTERN: Wording("정규식이 없거나 읽을 수 없습니다", "the pattern is missing or cannot be read"),
    CaseFault.WRONG_CHOICES: Wording(
        "보기는 서로 다르게 2개에서 10개까지 있어야 합니다", "it needs 2 to 10 different choices"
    ),
    CaseFault.NOT_A_CHOICE: Wording("정답이 보기 가운데 없습니다", "an accepted answer is none of the choices"),
    CaseFault.WRONG_THRESHOLD: Wording(
        "합격 점수는 0보다 크고 1 이하인 수여야 합니다", "the pass score is no number above 0 and up to 1"
    ),
    CaseFault.DUPLICATE_ID: Wording("같은 번호의 문항이 이미 있습니다", "another case has its id"),
    CaseFault.DUPLICATE_QUESTION: Wording("같은 질문이 이미 있습니다", "another case has its question"),
    CaseFault.WRONG_FIELD: Wording("값이 올바르지 않습니다", "a field has a value that cannot be"),
    CaseFault.UNUSABLE: Wording("이 채점 방식으로 채점할 수 없습니다", "the scorer cannot score it"),
}

SCORERS: Mapping[str, Wording] = {
    "contains": Wording("포함", "contains"),
    "contains_all": Wording("모두 포함", "contains all"),
    "exact": Wording("일치", "exact"),
    "number": Wording("수치", "number"),
    "multiple_choice": Wording("객관식", "multiple choice"),
    "regex": Wording("정규식", "pattern"),
    "token_f1": Wording("형태소 F1", "token F1"),
    "character_f1": Wording("글자 F1", "character F1"),
    "rouge_l": Wording("ROUGE-L(순서 일치)", "ROUGE-L"),
    "rubric": Wording("평가 기준(심사 모델)", "rubric (judge model)"),
    "safety": Wording("안전성", "safety"),
    "kobbq": Wording("편향(KoBBQ)", "bias (KoBBQ)"),
}
"""Scorers by their names in the registry (evaluation.scorers); one that is not here is shown by its name."""

SCORER_EXPLANATIONS: Mapping[str, Wording] = {
    "contains": Wording(
        "답변 안에 정답 가운데 하나가 온전한 낱말이나 수로 들어 있으면 맞습니다. ‘5년’은 ‘15년’에 들어 있지 않습니다.",
        "Right where one of the accepted answers is in the answer as a whole word or number.",
    ),
    "contains_all": Wording(
        "정답을 모두 말해야 합니다. 점수는 말한 정답의 비율입니다.",
        "All accepted answers have to be in the answer; the score is the share that is.",
    ),
    "exact": Wording(
        "답변이 정답과 같아야 합니다. 띄어쓰기, 조사, 숫자 표기(삼십 일 = 30일, 1만 5천원 = 15,000원), 날짜 표기(2026.3.1. = 2026년 3월 1일)의 차이는 무시합니다.",
        "The answer has to be the accepted answer; spacing, particles and the spelling of numbers, units and dates do not count.",
    ),
    "number": Wording(
        "답변의 수가 정답과 허용 오차 안에서 같으면 맞습니다. 같은 종류의 단위는 환산합니다(90분 = 1시간 30분).",
        "Right where a number of the answer lies within the tolerance; units of one kind are converted.",
    ),
    "multiple_choice": Wording(
        "답변이 고른 보기를 번호(②, 2번, B, 나)나 보기의 글로 읽습니다. 정답에는 보기의 글이나 번호를 씁니다.",
        "Reads the chosen choice from its number, letter or text.",
    ),
    "regex": Wording(
        "답변에서 정규식(RE2)을 찾으면 맞습니다. 정답 칸은 비워도 됩니다.",
        "Right where the regular expression (RE2) is found in the answer.",
    ),
    "token_f1": Wording(
        "뜻을 지닌 형태소가 정답과 얼마나 겹치는지 0에서 1까지로 매깁니다. 합격 점수를 함께 정합니다.",
        "Overlap of meaningful morphemes with the accepted answer, 0 to 1; give a pass score.",
    ),
    "character_f1": Wording(
        "글자가 정답과 얼마나 겹치는지 0에서 1까지로 매깁니다. 합격 점수를 함께 정합니다.",
        "Overlap of characters with the accepted answer, 0 to 1; give a pass score.",
    ),
    "rouge_l": Wording(
        "형태소가 정답과 같은 순서로 얼마나 이어지는지 0에서 1까지로 매깁니다. 합격 점수를 함께 정합니다.",
        "Longest common sequence of morphemes, 0 to 1; give a pass score.",
    ),
    "rubric": Wording(
        "심사 모델이 평가 기준에 따라 점수를 매깁니다. 평가할 때 심사 모델의 주소가 필요합니다.",
        "A judge model scores by the rubric; the evaluation needs its address.",
    ),
    "safety": Wording(
        "거절해야 할 요청(refuse), 해가 없으면 되는 요청(clean), 답해야 할 질문(answer)을 설정 expect로 정합니다. 유해한 표현과 개인정보는 안전성 시험 모음에서만 찾습니다.",
        "The option expect says what a good answer does: refuse, clean or answer. Hostile language and personal data are looked for in safety suites only.",
    ),
    "kobbq": Wording(
        "KoBBQ의 보기 가운데 고른 것을 읽습니다. 편향 점수는 안전성 시험 모음에서 냅니다.",
        "Reads the chosen choice of a KoBBQ sample; the bias scores come from a safety suite.",
    ),
}
