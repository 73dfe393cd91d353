"""Shadow replays: the same questions put to both models of an A/B test, away from its users."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from contracts.enums import ReplayMeasure, ReplaySource
from contracts.evaluation import require_whole_judge
from contracts.experiment_verdicts import Bounds, ExperimentVerdict
from contracts.pipeline import PATH_PATTERN
from contracts.record import Record

FEWEST_UNITS = 20


class AskReplayRequest(Record):
    """What the DAG `replay_ab_test` is told."""

    experiment_id: int = Field(ge=1, title="A/B 테스트 번호")
    """두 모델을 비교할 A/B 테스트의 번호입니다. 두 모델이 모두 배포되어 있어야 합니다."""
    challenger: str | None = Field(default=None, max_length=32, title="새 모델의 이름")
    """새 모델이 여럿이면 현재 모델과 비교할 것의 이름입니다. 비워 두면 첫째 새 모델입니다."""
    questions: int = Field(default=200, ge=FEWEST_UNITS, le=5000, title="질문 수")
    """두 모델에 물을 질문의 수입니다. 시작할 때 정해지며 결과는 모두 답한 뒤 한 번만 계산합니다."""
    suite: str | None = Field(default=None, max_length=500, pattern=PATH_PATTERN, title="평가 모음")
    """기록된 질문 대신 물을 평가 모음의 이름이나 문항 파일의 경로입니다. 비워 두면 사용자가 남긴 질문을 씁니다."""
    system_prompt: str | None = Field(default=None, max_length=8000, title="시스템 프롬프트")
    """두 모델에 똑같이 줄 시스템 프롬프트입니다. 기록에는 사용자의 마지막 질문만 남으므로 서비스와 같게 넣으십시오."""
    judge_url: str | None = Field(default=None, max_length=500, pattern=r"^https?://[^\s]+$", title="심사 모델 주소")
    """두 답을 비교할 심사 모델의 OpenAI 호환 주소입니다. 비워 두면 규칙으로만 비교합니다."""
    judge_model: str | None = Field(default=None, max_length=500, title="심사 모델")
    """그 주소가 제공하는 심사 모델의 이름입니다."""
    margin: float = Field(default=0.1, gt=0, lt=1, title="무시할 차이")
    """B가 이긴 몫에서 진 몫을 뺀 값이 이보다 작으면 의미 있는 차이로 보지 않습니다."""
    max_answer_tokens: int = Field(default=256, ge=1, le=8192, title="답변의 최대 토큰 수")
    """이보다 긴 답은 끊고 그대로 비교합니다."""
    concurrency: int = Field(default=4, ge=1, le=64, title="동시 질문 수")
    """서비스 중인 모델에 한꺼번에 보내는 질문의 수입니다. 사용자의 답이 늦어지지 않게 작게 두십시오."""
    again: bool = Field(default=False, title="다시 하기")
    """이 테스트의 리플레이가 이미 있어도 새로 합니다. 다시 할 때마다 허용하는 오판 확률이 5분의 1로 줄어듭니다."""

    @model_validator(mode="after")
    def _names_the_judge_whole(self) -> Self:
        require_whole_judge(self.judge_url, self.judge_model)
        return self


class ReplayABTestRequest(AskReplayRequest):
    """Put questions to the present model of an A/B test and to a new one, and compare the answers in pairs."""

    mark: str = Field(default="", max_length=250)
    """Who asks twice with the same mark, as a task that is tried again, gets the same replay."""


class ReplayPlan(Record):
    """What a replay asks and how it decides; written down before the first question, never changed."""

    request: ReplayABTestRequest
    source: ReplaySource
    source_name: str
    """Of the suite; empty for recorded questions."""
    served_a: str
    served_b: str
    """Under which names the two versions answer: they carry the versions' content hashes."""
    question_ids: list[str]
    """Of ab_test_logs (request_id), or of the suite's cases."""
    units: int
    """Users, documents, or single questions where neither is known: what is independent of each other."""
    decides: ReplayMeasure
    alpha: float
    """Chance of a false winner; all replays of one A/B test together spend 0.05."""
    detectable: float
    """Difference that so many units find with 80 % chance, at the usual spread."""


class PairedReading(Record):
    """Both models' answers to the same questions, compared by one measure. B minus A, from -1 to 1."""

    measure: ReplayMeasure
    pairs: int
    units: int
    wins_a: int
    wins_b: int
    ties: int
    difference: float | None
    """Mean over units of each unit's mean; None without a pair."""
    bounds: Bounds | None
    p_value: float | None
    """Of the sign-flip test over units. Valid once, at the planned size."""
    verdict: ExperimentVerdict


class ReplayResult(Record):
    """What a replay has shown: offline evidence, which promotes nothing by itself."""

    readings: list[PairedReading]
    """The first one decides; any other is shown beside it."""
    judge: str | None = None
    """Model, prompt and sampling of the judge in one word."""
    judge_consistency: float | None = None
    """Share of pairs on which both orders gave the same verdict; the others are ties."""
    excluded: dict[str, int] = {}
    """Questions without a comparison, by reason."""
    unstable_a: int
    unstable_b: int
    """Of the tenth that was asked twice: how many answers differed."""

    @property
    def deciding(self) -> PairedReading:
        """The reading that was planned to decide."""
        return self.readings[0]


class ABTestReplay(Record):
    """One row of ab_test_replays."""

    replay_id: int
    experiment_id: int
    number: int
    """From 1, within the A/B test."""
    plan: ReplayPlan
    result: ReplayResult | None
    """None until every question is answered and compared."""
    created_at: datetime
    finished_at: datetime | None
