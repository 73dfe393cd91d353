"""Sweeps: which numbers of a recipe are tried, what for, and what came of it."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from contracts.enums import Method, Pruner, Sampler, SweepMetric, TrialState
from contracts.jobs import JobSubmission
from contracts.record import JsonObject, Record
from contracts.training import BASE_MODEL_PATTERN, NAME_PATTERN

SWEEP_NAME_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,79}$"
"""Shorter than a job's name, which is the sweep's with the trial's number behind it."""

Number = int | float | str | bool
"""A value that a recipe may have."""


class SearchRange(Record):
    """The values that a number of the recipe may take: from low to high, or one of several."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    """Equally many trials in each power of ten: right for learning rates."""
    choices: list[Number] | None = Field(default=None, min_length=1, max_length=50)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give either choices, or low and high (and log)")
            if len(set(map(repr, self.choices))) < len(self.choices):
                raise ValueError("a value stands twice in choices")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"the range is empty: low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a range with log needs a low above 0, it is {self.low:g}")
        return self


class SweepRequest(Record):
    """What the DAG `tune_hyperparameters` is told: look for the best numbers of a recipe."""

    sweep_name: str = Field(default="sweep", pattern=SWEEP_NAME_PATTERN, title="탐색 이름")
    """같은 이름으로 다시 실행하면 끝난 시행은 건너뛰고 이어서 진행합니다."""
    dataset_id: int = Field(ge=1, title="데이터셋 버전")
    """모든 시행이 학습할 데이터셋 버전의 번호입니다. 준비가 끝난 버전이어야 합니다."""
    base_model: str = Field(default="demo-base", pattern=BASE_MODEL_PATTERN, title="기반 모델")
    """모델 폴더의 경로, 또는 모델 저장 폴더 아래의 이름입니다. 예: demo-base, Qwen/Qwen3-32B"""
    method: Method = Field(default=Method.LORA, title="학습 방식")
    """lora: 어댑터만 학습, qlora: 4비트로 읽은 모델에 어댑터 학습, full: 모든 가중치 학습"""
    recipe: str = Field(default="demo-lora", pattern=NAME_PATTERN, title="레시피")
    """탐색하지 않는 값은 모두 이 레시피의 값을 씁니다."""
    search_space: dict[str, SearchRange] = Field(min_length=1, max_length=20, title="탐색 공간")
    """레시피의 항목마다 low와 high(배율로 나누려면 log: true), 또는 choices를 적습니다."""
    objectives: list[SweepMetric] = Field(
        default=[SweepMetric.EVAL_LOSS], min_length=1, max_length=3, title="목표 지표"
    )
    """가장 좋게 만들 지표입니다. 둘 이상이면 어느 쪽도 양보할 수 없는 시행(파레토 최적)을 모두 보고합니다."""
    trials: int = Field(default=20, ge=1, le=500, title="시행 수")
    """학습을 몇 번 해 볼지 정합니다. 늘려서 다시 실행하면 모자란 만큼만 더 합니다."""
    sampler: Sampler = Field(default=Sampler.TPE, title="표본 추출")
    """tpe: 지금까지의 결과를 보고 다음 값을 고름, random: 무작위"""
    pruner: Pruner = Field(default=Pruner.ASHA, title="조기 중단")
    """asha, hyperband: 뒤처진 시행을 일찍 멈춤, none: 끝까지 학습. 목표가 둘 이상이면 none이어야 합니다."""
    evaluations_per_trial: int = Field(default=8, ge=1, le=1000, title="시행당 검증 횟수")
    """시행 하나가 학습하는 동안 검증 손실을 재고 체크포인트를 남기는 횟수입니다."""
    budget_hours: float | None = Field(default=None, gt=0, title="시간 한도")
    """탐색을 시작하고 이 시간이 지나면 새 시행을 시작하지 않습니다. 진행 중인 시행은 끝까지 학습합니다."""
    seed: int = Field(default=0, ge=0, title="난수 시드")
    """모든 시행의 학습 시드이며, 값을 고르는 순서도 정합니다."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError("an objective stands twice in objectives")
        if self.pruner is Pruner.NONE:
            return self
        if len(self.objectives) > 1:
            raise ValueError(
                "no trial can be pruned by several objectives at once: set pruner to none, or choose one objective"
            )
        if not self.objectives[0].is_measured_meanwhile:
            raise ValueError(
                f"{self.objectives[0].value} is known at a trial's end only: set pruner to none, "
                "or choose eval_loss or train_loss"
            )
        if self.evaluations_per_trial < 2:
            raise ValueError("a trial that is evaluated once cannot be pruned: set evaluations_per_trial to 2 or more")
        return self


class TrialJob(Record):
    """One trial of a sweep and the job that trains it."""

    sweep_name: str
    number: int = Field(ge=0)
    """The trial's number in the study; in the order in which they were begun."""
    values: JsonObject
    """What this trial tries."""
    submission: JobSubmission
    has_ended: bool
    """It was trained, pruned or given up before: nothing is to be done."""


class SweepTrial(Record):
    """What is known of one trial."""

    number: int
    state: TrialState
    values: JsonObject
    """What it tries."""
    results: dict[SweepMetric, float]
    """The objectives, of a trial that was trained to its end."""
    evaluations: list[float]
    """Losses meanwhile, in order."""
    job_id: int | None
    reason: str | None
    """Why a trial failed."""


class SweepReport(Record):
    """A sweep as it stands."""

    sweep_name: str
    request: SweepRequest
    started_at: datetime
    trials: list[SweepTrial]
    best: list[int]
    """Numbers of the best trials: one, or with several objectives all that no other beats in everything."""
    importances: dict[str, float]
    """Share of the spread of the first objective that each number explains; empty while there are too few trials."""
    recipe_name: str | None = None
    """The recipe made of the best trial."""
    recipe_path: str | None = None
    picture_path: str | None = None
    mlflow_run_id: str | None = None

    def count(self, state: TrialState) -> int:
        """Trials in that state."""
        return sum(trial.state is state for trial in self.trials)
