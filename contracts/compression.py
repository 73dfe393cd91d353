"""Compression: a finished model made smaller, and what that did to its weights."""

from typing import Self

from pydantic import Field, model_validator

from contracts.enums import CompressionMethod, Metric
from contracts.pipeline import PATH_PATTERN
from contracts.record import Record
from contracts.training import BASE_MODEL_PATTERN, NAME_PATTERN

DISTILL_NUMBERS = ("temperature", "teacher_weight", "learning_rate", "num_epochs", "batch_size")
"""Fields by which a request overrides its recipe."""


class CompressRequest(Record):
    """Make a finished job's model smaller."""

    job_name: str = Field(pattern=NAME_PATTERN, title="작업 이름")
    """압축한 모델의 작업 이름입니다. 같은 이름으로 다시 실행하면 같은 작업입니다."""
    parent_job_id: int = Field(ge=1, title="원본 작업")
    """압축할 모델을 만든, 완료된 파인튜닝 작업의 번호입니다. 어댑터는 기반 모델에 합친 뒤 압축합니다."""
    compression: CompressionMethod = Field(default=CompressionMethod.INT8, title="압축 방식")
    """int8, fp8: 8비트, gptq, awq: 4비트 가중치, wanda, magnitude: 작은 가중치를 0으로, neurons: 뉴런을 제거, distill: 작은
    모델이 원본을 따라 배움"""
    group_size: int = Field(default=128, ge=16, le=1024, title="그룹 크기")
    """gptq와 awq에서 배율 하나를 나누어 쓰는 가중치의 수입니다. 작을수록 정확하고 큽니다."""
    sparsity: float = Field(default=0.5, gt=0, lt=1, title="제거 비율")
    """wanda, magnitude, neurons가 없애는 몫입니다."""
    two_of_four: bool = Field(default=False, title="2:4 구조")
    """wanda, magnitude가 연속한 네 가중치마다 둘을 없앱니다. GPU가 빠르게 계산하는 구조입니다."""
    calibration_rows: int = Field(default=128, ge=1, le=4096, title="보정 표본 수")
    """gptq, awq, wanda, neurons가 활성값을 보는 학습 표본의 수입니다."""
    student: str | None = Field(default=None, pattern=BASE_MODEL_PATTERN, title="학생 모델")
    """distill로 배울 작은 기반 모델입니다. 원본과 토크나이저, 대화 템플릿이 같아야 합니다."""
    student_layers: int | None = Field(default=None, ge=1, le=1000, title="학생의 층 수")
    """학생 모델을 지정하지 않을 때, 원본에서 고르게 남겨 학생으로 삼을 층의 수입니다."""
    recipe: str = Field(default="demo-distill", pattern=NAME_PATTERN, title="레시피")
    """distill의 학습 설정 이름입니다. 아래 값을 비워 두면 레시피의 값을 씁니다."""
    temperature: float | None = Field(default=None, gt=0, le=20, title="증류 온도")
    """두 모델의 점수를 나누는 값입니다. 1보다 크면 원본이 둘째, 셋째로 꼽은 말도 배웁니다."""
    teacher_weight: float | None = Field(default=None, ge=0, le=1, title="원본의 몫")
    """손실에서 원본의 점수가 차지하는 몫입니다. 나머지는 학습 자료의 정답입니다."""
    learning_rate: float | None = Field(default=None, gt=0, le=1, title="학습률")
    """distill의 최고 학습률입니다."""
    num_epochs: float | None = Field(default=None, gt=0, le=1000, title="에폭 수")
    """distill이 학습 데이터를 되풀이하는 횟수입니다."""
    batch_size: int | None = Field(default=None, ge=1, le=4096, title="배치 크기")
    """distill이 한 번에 처리하는 표본 수입니다."""
    speed_seconds: float = Field(default=5.0, ge=0, le=600, title="속도 측정 시간")
    """원본과 압축한 모델의 생성 속도를 번갈아 잴 때 한 번에 묻는 시간(초)입니다. 0이면 재지 않습니다."""
    seed: int = Field(default=0, ge=0, title="난수 시드")
    """보정 표본을 고르는 순서와 distill의 학습 순서를 정합니다."""

    @model_validator(mode="after")
    def _has_a_student_if_one_learns(self) -> Self:
        given = [name for name in ("student", "student_layers") if getattr(self, name) is not None]
        if self.compression is CompressionMethod.DISTILL:
            if len(given) != 1:
                raise ValueError("distill wants either student, a base model, or student_layers, of the parent's")
            return self
        given += [name for name in DISTILL_NUMBERS if getattr(self, name) is not None]
        if given:
            raise ValueError(f"{', '.join(given)}: a matter of distill, not of {self.compression.value}")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.two_of_four and not self.compression.zeroes:
            raise ValueError(f"two_of_four is a matter of wanda and magnitude, not of {self.compression.value}")
        if self.two_of_four and self.sparsity != 0.5:
            raise ValueError("two of four is half: leave sparsity at 0.5, or set two_of_four to false")
        return self


class CompressModelRequest(CompressRequest):
    """What the DAG `compress_model` is told: compress, judge against the parent, register what it costs."""

    test_suite: str | None = Field(default=None, max_length=500, pattern=PATH_PATTERN, title="평가 문항 파일")
    """정답이 달린 문항(JSONL)입니다. 비워 두면 데이터셋의 시험 몫으로 평가합니다."""
    extra_suites: list[str] = Field(default=[], max_length=10, title="추가 평가 문항")
    """함께 보고할 문항 파일입니다. 예: 처음 보는 질문 형식, 기존 지식"""
    accuracy_bar: float = Field(default=0.90, gt=0, lt=1, title="합격 기준")
    """압축한 모델이 이 정확도를 넘어야 등록합니다."""
    metric: Metric = Field(default=Metric.ACCURACY, title="합격 지표")
    """accuracy: 정확도, accuracy_lower_bound: 정확도의 95 % 신뢰 하한"""
    contamination_override: str | None = Field(
        default=None, min_length=10, max_length=2000, title="겹친 문항 인정 사유"
    )
    """시험 문항이 학습 데이터와 겹치면 판정을 보류합니다. 그래도 인정하려면 그 이유를 적습니다. 감사 기록에 남습니다."""
    model_name: str = Field(default="regulations-assistant-small", pattern=NAME_PATTERN, title="모델 이름")
    """모델 레지스트리에 등록할 이름입니다."""
