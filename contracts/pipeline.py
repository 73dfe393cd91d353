"""The request that starts the whole pipeline, and the summary of a run."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from contracts.datasets import DATASET_NAME_PATTERN, ColumnMapping, DatasetVersion, ImportedDataset
from contracts.deployments import DeploymentConfig
from contracts.documents import QdrantSource
from contracts.enums import Method, Metric, Priority, QuestionTemplate, SplitUnit, StageName, StageStatus
from contracts.evaluation import EvaluationReport, GateVerdict, require_whole_judge
from contracts.experiments import ABExperiment
from contracts.jobs import CHECKPOINT_PATTERN, DEFAULT_PROJECT, PROJECT_PATTERN
from contracts.models import Deployment, ModelVersion
from contracts.record import JsonObject, Record
from contracts.training import BASE_MODEL_PATTERN, NAME_PATTERN, TrainingReport

PATH_PATTERN = r"^[^\x00-\x1f{}$`;|&<>]+$"
"""A path as people write one: no control characters, nothing that a shell or a template would read."""


class FinetuneRequest(Record):
    """Everything `finetune_pipeline` is told; its fields become the trigger form."""

    dataset_name: str = Field(default="regulations", pattern=DATASET_NAME_PATTERN, title="데이터셋 이름")
    """새 버전을 만들 데이터셋의 이름입니다. 영문 소문자, 숫자, 점, 밑줄, 붙임표만 쓸 수 있습니다."""
    dataset_id: int | None = Field(default=None, ge=1, title="기존 데이터셋 버전")
    """이미 준비된 데이터셋 버전의 번호입니다. 넣으면 가져오기와 정제를 건너뜁니다."""
    input_files: list[str] = Field(default=[], max_length=100, title="입력 파일")
    """가져올 파일의 경로입니다. 저장소 기준 상대 경로이거나 허용된 입력 폴더 아래의 절대 경로여야 합니다."""
    columns: ColumnMapping = Field(default=ColumnMapping(), title="열 지정")
    """표의 열 이름이 자동으로 인식되지 않을 때 질문, 답변, 분류 열을 지정합니다."""
    max_rows: int | None = Field(default=None, ge=1, title="파일당 최대 행 수")
    """시험 실행을 위해 파일마다 앞부분만 가져옵니다."""
    train_ratio: float = Field(default=0.9, gt=0, lt=1, title="학습 비율")
    """학습에 쓰는 몫입니다. 세 비율의 합은 1이어야 합니다."""
    val_ratio: float = Field(default=0.05, ge=0, lt=1, title="검증 비율")
    """학습 중 손실을 재는 몫입니다."""
    test_ratio: float = Field(default=0.05, ge=0, lt=1, title="시험 비율")
    """학습에 쓰지 않고 남겨 두는 몫입니다."""
    split_unit: SplitUnit = Field(default=SplitUnit.DOCUMENT, title="나누는 단위")
    """document: 한 문서에서 나온 표본은 모두 같은 쪽에 둡니다. question: 질문이 같은 표본만 같은 쪽에 둡니다."""
    policy: str = Field(default="default", max_length=500, pattern=PATH_PATTERN, title="데이터 정책")
    """개인정보를 가리는 방법, 중복을 비교하는 방법, 품질 기준을 정한 정책의 이름이나 YAML 파일 경로입니다."""
    near_duplicate_threshold: float = Field(default=0.9, gt=0.5, le=1, title="중복 기준")
    """글자 다섯 개씩의 조각이 이 몫 이상 겹치는 두 행은 거의 같은 중복으로 봅니다."""
    min_quality_score: float = Field(default=0.7, ge=0, le=1, title="최소 품질 점수")
    """이 점수보다 낮은 행은 제외합니다."""
    min_answer_characters: int = Field(default=5, ge=1, title="최소 답변 길이")
    """이보다 짧은 답변의 행은 제외합니다. 글자 수입니다."""
    branch: str = Field(default="main", pattern=DATASET_NAME_PATTERN, title="데이터셋 브랜치")
    """새 버전이 이어질 브랜치입니다. 없던 브랜치는 이전 버전 없이 시작합니다."""
    base_model: str = Field(default="demo-base", pattern=BASE_MODEL_PATTERN, title="기반 모델")
    """모델 폴더의 경로, 또는 모델 저장 폴더 아래의 이름입니다. 예: demo-base, Qwen/Qwen3-32B"""
    method: Method = Field(default=Method.LORA, title="학습 방식")
    """lora: 어댑터만 학습, qlora: 4비트로 읽은 모델에 어댑터 학습, full: 모든 가중치 학습"""
    recipe: str = Field(default="demo-lora", pattern=NAME_PATTERN, title="레시피")
    """training/recipes 폴더의 설정 이름입니다. 아래 값을 비워 두면 레시피의 값을 씁니다."""
    lora_rank: int | None = Field(default=None, ge=1, le=1024, title="LoRA 랭크")
    """어댑터 행렬의 차수입니다. 클수록 많이 배우고 메모리를 더 씁니다."""
    lora_alpha: int | None = Field(default=None, ge=1, le=4096, title="LoRA 알파")
    """어댑터 출력의 배율입니다. 보통 랭크의 2~4배로 둡니다."""
    learning_rate: float | None = Field(default=None, gt=0, le=1, title="학습률")
    """최고 학습률입니다."""
    batch_size: int | None = Field(default=None, ge=1, le=4096, title="배치 크기")
    """장치 하나가 한 번에 처리하는 표본 수입니다."""
    gradient_accumulation_steps: int | None = Field(default=None, ge=1, le=4096, title="기울기 누적")
    """가중치를 한 번 고치기 전에 모으는 배치 수입니다."""
    num_epochs: float | None = Field(default=None, gt=0, le=1000, title="에폭 수")
    """학습 데이터를 되풀이하는 횟수입니다."""
    warmup_steps: int | None = Field(default=None, ge=0, title="워밍업 스텝")
    """학습률을 0에서 최고값까지 올리는 스텝 수입니다."""
    max_seq_length: int | None = Field(default=None, ge=16, le=262144, title="최대 길이")
    """표본 하나의 최대 토큰 수입니다. 넘는 부분은 잘립니다."""
    num_gpus: int = Field(default=1, ge=1, le=2, title="GPU 수")
    """작업이 차지하는 GPU 풀의 자리 수입니다. GPU가 없는 장비에서는 CPU 작업자 수입니다."""
    project: str = Field(default=DEFAULT_PROJECT, pattern=PROJECT_PATTERN, title="프로젝트")
    """GPU를 나누어 쓰는 단위입니다. 최근 7일 동안 GPU를 덜 쓴 프로젝트의 작업이 먼저 시작합니다."""
    priority: Priority = Field(default=Priority.NORMAL, title="우선순위")
    """기다리는 순서의 등급입니다. 4시간을 기다릴 때마다 한 등급 올라갑니다."""
    test_suite: str | None = Field(default=None, max_length=500, pattern=PATH_PATTERN, title="평가 문항 파일")
    """정답이 달린 문항 파일(JSONL), 또는 관리하는 시험 세트의 이름(예: rules, rules@3)입니다. 비워 두면 데이터셋의 시험 몫으로 평가합니다."""
    extra_suites: list[str] = Field(default=[], max_length=10, title="추가 평가 문항")
    """함께 보고할 문항 파일이나 시험 세트입니다. 예: 처음 보는 질문 형식, 기존 지식"""
    accuracy_bar: float = Field(default=0.90, gt=0, lt=1, title="합격 기준")
    """이 정확도를 넘어야 모델을 등록합니다."""
    metric: Metric = Field(default=Metric.ACCURACY, title="합격 지표")
    """accuracy: 정확도, accuracy_lower_bound: 정확도의 95 % 신뢰 하한"""
    judge_url: str | None = Field(default=None, max_length=500, pattern=r"^https?://[^\s]+$", title="심사 모델 주소")
    """채점 기준(rubric)이 달린 문항을 채점할 모델의 OpenAI 호환 주소입니다. 비워 두면 그 문항을 평가에서 뺍니다."""
    judge_model: str | None = Field(default=None, max_length=500, title="심사 모델")
    """심사 모델의 이름입니다. 전문가 평가와 충분히 일치한다고 확인된 모델만 합격을 정할 수 있습니다."""
    contamination_override: str | None = Field(
        default=None, min_length=10, max_length=2000, title="겹친 문항 인정 사유"
    )
    """시험 문항이 학습 데이터와 겹치면 판정을 보류합니다. 그래도 인정하려면 그 이유를 적습니다. 감사 기록에 남습니다."""
    model_name: str = Field(default="regulations-assistant", pattern=NAME_PATTERN, title="모델 이름")
    """모델 레지스트리에 등록할 이름입니다."""
    deploy: bool = Field(default=True, title="배포")
    """합격하면 서비스에 올리고 A/B 테스트를 시작합니다."""
    approval_needed: bool = Field(default=False, title="배포 전 승인")
    """배포하기 전에 사람이 Airflow 화면에서 승인해야 합니다."""
    traffic_to_new: float = Field(default=0.5, gt=0, lt=1, title="새 모델의 트래픽 몫")
    """A/B 테스트에서 새 모델이 받는 사용자의 몫입니다."""
    seed: int = Field(default=0, ge=0, title="난수 시드")
    """같은 입력과 같은 시드는 같은 결과를 냅니다."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        total = self.train_ratio + self.val_ratio + self.test_ratio
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"train_ratio + val_ratio + test_ratio is {total:g}, must be 1; for example 0.8, 0.1 and 0.1"
            )
        if self.dataset_id is None and not self.input_files:
            raise ValueError("give input_files, or the dataset_id of a dataset version that is already prepared")
        require_whole_judge(self.judge_url, self.judge_model)
        return self


class EvaluateModelRequest(Record):
    """What the DAG `evaluate_model` is told: judge a finished job again, on other cases or against another bar."""

    job_id: int = Field(ge=1, title="파인튜닝 작업")
    """완료된 파인튜닝 작업의 번호입니다."""
    test_suite: str | None = Field(default=None, max_length=500, pattern=PATH_PATTERN, title="평가 문항 파일")
    """정답이 달린 문항 파일(JSONL), 또는 관리하는 시험 세트의 이름(예: rules, rules@3)입니다. 비워 두면 데이터셋의 시험 몫으로 평가합니다."""
    extra_suites: list[str] = Field(default=[], max_length=10, title="추가 평가 문항")
    """함께 보고할 문항 파일이나 시험 세트입니다. 예: 처음 보는 질문 형식, 기존 지식"""
    max_cases: int | None = Field(default=None, ge=1, title="파일당 최대 문항 수")
    """시험 실행을 위해 문항 파일마다 앞부분만 묻습니다. 보고서에 그 사실이 남습니다."""
    accuracy_bar: float = Field(default=0.90, gt=0, lt=1, title="합격 기준")
    """이 정확도를 넘어야 합격입니다."""
    metric: Metric = Field(default=Metric.ACCURACY, title="합격 지표")
    """accuracy: 정확도, accuracy_lower_bound: 정확도의 95 % 신뢰 하한"""
    model_name: str | None = Field(default=None, pattern=NAME_PATTERN, title="모델 이름")
    """이 이름으로 운영 중인 모델과 문항별로 비교합니다. 비워 두면 비교하지 않습니다."""
    judge_url: str | None = Field(default=None, max_length=500, pattern=r"^https?://[^\s]+$", title="심사 모델 주소")
    """채점 기준(rubric)이 달린 문항을 채점할 모델의 OpenAI 호환 주소입니다. 비워 두면 그 문항을 평가에서 뺍니다."""
    judge_model: str | None = Field(default=None, max_length=500, title="심사 모델")
    """심사 모델의 이름입니다. 전문가 평가와 충분히 일치한다고 확인된 모델만 합격을 정할 수 있습니다."""
    contamination_override: str | None = Field(
        default=None, min_length=10, max_length=2000, title="겹친 문항 인정 사유"
    )
    """시험 문항이 학습 데이터와 겹치면 판정을 보류합니다. 그래도 인정하려면 그 이유를 적습니다. 감사 기록에 남습니다."""

    @model_validator(mode="after")
    def _names_the_judge_whole(self) -> Self:
        require_whole_judge(self.judge_url, self.judge_model)
        return self


class ResumeTrainingRequest(Record):
    """What the DAG `resume_training` is told: go on with a job that was stopped or has failed."""

    job_id: int = Field(ge=1, title="파인튜닝 작업")
    """멈추었거나 실패한 파인튜닝 작업의 번호입니다."""
    checkpoint: str | None = Field(default=None, pattern=CHECKPOINT_PATTERN, title="체크포인트")
    """이어서 시작할 체크포인트입니다. 예: checkpoint-500. 비워 두면 마지막 체크포인트에서 이어집니다. 그 뒤의 체크포인트는 따로 보관합니다."""


class FinetuneJobRun(Record):
    """What the DAG `finetune_job` is told: the number of a job whose request stands in PostgreSQL."""

    job_id: int = Field(ge=1, title="파인튜닝 작업")
    """관리 API로 만든 파인튜닝 작업의 번호입니다. 작업의 내용은 데이터베이스에 있습니다."""


class DeployModelRequest(Record):
    """What the DAG `deploy_model` is told: put a registered model version into service."""

    model_id: int = Field(ge=1, title="모델 버전")
    """등록된 모델 버전의 번호입니다."""
    config: DeploymentConfig = Field(default=DeploymentConfig(), title="서빙 설정")
    """모델 서버의 설정입니다. 비워 두면 설치의 기본값을 씁니다. 예: {"max_model_length": 8192, "gpus": 2}"""
    approval_needed: bool = Field(default=False, title="배포 전 승인")
    """배포하기 전에 사람이 Airflow 화면에서 승인해야 합니다."""
    traffic_to_new: float = Field(default=0.5, gt=0, lt=1, title="새 모델의 트래픽 몫")
    """A/B 테스트에서 새 모델이 받는 사용자의 몫입니다."""


class GenerateSamplesRequest(Record):
    """What the DAG `generate_qa` is told: make samples from documents, for people to review."""

    dataset_name: str = Field(default="regulations", pattern=DATASET_NAME_PATTERN, title="데이터셋 이름")
    """만든 표본이 들어갈 데이터셋의 이름입니다. 영문 소문자, 숫자, 점, 밑줄, 붙임표만 쓸 수 있습니다."""
    documents: list[str] = Field(default=[], max_length=1000, title="문서")
    """문서 파일이나 폴더의 경로입니다. 폴더를 넣으면 그 안의 모든 문서를 읽습니다."""
    qdrant: QdrantSource | None = Field(default=None, title="Qdrant 컬렉션")
    """이미 나누어 둔 문단을 쓰려면 컬렉션 이름(collection)과 주소(url)를 넣습니다."""
    model: str = Field(default="demo-base", min_length=1, max_length=500, title="생성 모델")
    """엔드포인트가 제공하는 모델 이름, 엔드포인트가 없으면 모델 폴더의 이름입니다."""
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$", title="엔드포인트 주소")
    """OpenAI 호환 주소(/v1까지)입니다. 비워 두면 이 설치의 모델 서버를 실행 동안만 띄웁니다."""
    templates: list[QuestionTemplate] = Field(
        default=[QuestionTemplate.QA], min_length=1, max_length=4, title="표본 형식"
    )
    """qa: 질문과 답, chat: 여러 차례의 대화, summary: 요약, rag: 참고 문단이 딸린 질문"""
    samples_per_chunk: int = Field(default=3, ge=1, le=20, title="문단당 표본 수")
    """문단 하나와 형식 하나에서 만들어 달라고 할 표본의 수입니다."""
    sample_system_prompt: str | None = Field(default=None, max_length=8000, title="표본의 시스템 프롬프트")
    """모든 표본의 첫머리에 둘 말입니다. 예: 당신은 한국도로공사의 AI 어시스턴트입니다."""
    max_chunks: int | None = Field(default=None, ge=1, title="최대 문단 수")
    """시험 실행을 위해 앞쪽 문단만 씁니다."""
    concurrency: int = Field(default=8, ge=1, le=256, title="동시 요청 수")
    """엔드포인트에 한꺼번에 보내는 요청의 수입니다."""
    min_quality_score: float = Field(default=0.7, ge=0, le=1, title="최소 품질 점수")
    """이보다 낮은 표본은 버립니다."""
    seed: int = Field(default=0, ge=0, title="시드")
    """다른 값을 넣으면 모두 새로 만듭니다."""


class StageState(Record):
    """One stage of one pipeline run; one row of pipeline_stages."""

    stage: StageName
    status: StageStatus
    record: JsonObject | None = None
    error: JsonObject | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class PipelineRun(Record):
    """A pipeline run as PostgreSQL knows it."""

    run_id: str
    dag_id: str
    request: JsonObject
    started_at: datetime
    finished_at: datetime | None
    stages: list[StageState]


class PipelineSummary(Record):
    """What a run did, for people and for programs (`tuneway summary --json`)."""

    run_id: str
    finished: bool
    imported: ImportedDataset | None = None
    dataset: DatasetVersion | None = None
    training: TrainingReport | None = None
    evaluation: EvaluationReport | None = None
    gate: GateVerdict | None = None
    model: ModelVersion | None = None
    deployment: Deployment | None = None
    experiment: ABExperiment | None = None
    failed_stage: StageName | None = None
    error: JsonObject | None = None
