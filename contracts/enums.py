"""Closed sets. Database, API and dashboard use the same ones."""

from enum import StrEnum


class Method(StrEnum):
    """How a model is fine-tuned."""

    LORA = "lora"
    QLORA = "qlora"
    FULL = "full"


class Metric(StrEnum):
    """What the gate compares with the bar."""

    ACCURACY = "accuracy"
    ACCURACY_LOWER_BOUND = "accuracy_lower_bound"


class DatasetStatus(StrEnum):
    """Life of a dataset version."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    ARCHIVED = "archived"


class Split(StrEnum):
    """The part of a dataset version that a row belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class SplitUnit(StrEnum):
    """What is never divided between train, validation and test."""

    DOCUMENT = "document"
    """All rows of one source document: the test side asks about documents that were not trained on."""
    QUESTION = "question"
    """Rows with the same question: for datasets whose test asks what was trained, in other words."""


class RemovalReason(StrEnum):
    """Why a row is not in the dataset version."""

    BROKEN_ROW = "broken_row"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    REPETITION = "repetition"
    LOW_QUALITY = "low_quality"
    FOUL_LANGUAGE = "foul_language"
    LEAKS_TEST_CASE = "leaks_test_case"
    PERSONAL_DATA = "personal_data"
    TOXIC = "toxic"
    WRONG_LANGUAGE = "wrong_language"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    OTHER_VERSION = "other_version"
    """The row is in another dataset version that the policy names."""


class PersonalDataKind(StrEnum):
    """A kind of personal data. Value: the word in brackets that replaces it in a text."""

    NAME = "이름"
    RESIDENT_NUMBER = "주민등록번호"
    FOREIGNER_NUMBER = "외국인등록번호"
    PASSPORT_NUMBER = "여권번호"
    DRIVER_LICENCE_NUMBER = "운전면허번호"
    BUSINESS_NUMBER = "사업자등록번호"
    PHONE_NUMBER = "전화번호"
    EMAIL = "이메일"
    CARD_NUMBER = "카드번호"
    ACCOUNT_NUMBER = "계좌번호"
    IP_ADDRESS = "IP주소"
    CAR_PLATE = "차량번호"
    ADDRESS = "주소"

    @property
    def token(self) -> str:
        """What stands in the text instead."""
        return f"[{self.value}]"

    @property
    def code(self) -> str:
        """Presidio's name of the kind where it has one: how other programs know it (`tuneway dataset mask`)."""
        return _CODES[self]


_CODES = {
    PersonalDataKind.NAME: "PERSON",
    PersonalDataKind.RESIDENT_NUMBER: "KR_RRN",
    PersonalDataKind.FOREIGNER_NUMBER: "KR_FRN",
    PersonalDataKind.PASSPORT_NUMBER: "KR_PASSPORT",
    PersonalDataKind.DRIVER_LICENCE_NUMBER: "KR_DRIVER_LICENSE",
    PersonalDataKind.BUSINESS_NUMBER: "KR_BRN",
    PersonalDataKind.PHONE_NUMBER: "PHONE_NUMBER",
    PersonalDataKind.EMAIL: "EMAIL_ADDRESS",
    PersonalDataKind.CARD_NUMBER: "CREDIT_CARD",
    PersonalDataKind.ACCOUNT_NUMBER: "KR_BANK_ACCOUNT",
    PersonalDataKind.IP_ADDRESS: "IP_ADDRESS",
    PersonalDataKind.CAR_PLATE: "KR_CAR_PLATE",
    PersonalDataKind.ADDRESS: "KR_ADDRESS",
}


class MaskingAction(StrEnum):
    """What happens to personal data of one kind."""

    MASK = "mask"
    """Replaced by the name of its kind: `[이름]`."""
    PSEUDONYMISE = "pseudonymise"
    """Replaced by the same made-up value wherever it occurs in the dataset: `[이름-7QK2]`."""
    DROP_ROW = "drop_row"
    """The row is removed, with the reason personal_data."""
    KEEP = "keep"
    """Left as it is; the policy must say why."""


class DuplicateMode(StrEnum):
    """Which part of two rows is compared."""

    PAIR = "pair"
    QUESTION = "question"
    ANSWER = "answer"


class QuestionTemplate(StrEnum):
    """What kind of sample is generated from a passage."""

    QA = "qa"
    CHAT = "chat"
    SUMMARY = "summary"
    RAG = "rag"
    """The passage stands in the question among distractors."""


class SampleFault(StrEnum):
    """Why a generated sample, or an answer of the generator, is not taken."""

    UNREADABLE = "unreadable"
    """The answer is not the JSON that was asked for."""
    NO_ANSWER = "no_answer"
    """The generator failed or refused to answer, however often it was asked."""
    EMPTY = "empty"
    """A turn without text."""
    COPIES_PROMPT = "copies_prompt"
    """The sample repeats the instructions, or the whole passage."""
    WRONG_LANGUAGE = "wrong_language"
    REFERS_TO_PASSAGE = "refers_to_passage"
    """The question speaks of "this text", which its reader does not have."""
    WRONG_NUMBER = "wrong_number"
    """A number of the question or the answer does not stand in the passage."""
    NOT_GROUNDED = "not_grounded"
    """The passage does not say what the answer says."""
    LOW_QUALITY = "low_quality"
    DUPLICATE = "duplicate"


class ReviewVerdict(StrEnum):
    """What a person said of a generated sample."""

    ACCEPT = "accept"
    EDIT = "edit"
    REJECT = "reject"


class QualityCheckType(StrEnum):
    """A check of a dataset version; one row of dataset_quality_logs."""

    PII_DETECTION = "pii_detection"
    DUPLICATE_CHECK = "duplicate_check"
    QUALITY_SCORE = "quality_score"
    SPLIT_BALANCE = "split_balance"
    TEST_LEAKAGE = "test_leakage"
    SIZE = "size"


class JobKind(StrEnum):
    """What a runner job does."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    COMPRESS = "compress"
    EVALUATE_SUITES = "evaluate_suites"


class JobState(StrEnum):
    """State of a runner job, as its folder tells it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Nothing more will happen to this attempt."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class Priority(StrEnum):
    """Class of a waiting job; within a class, projects share the cards."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class WaitReason(StrEnum):
    """Why a job has not started."""

    CARDS = "cards"
    """Not enough cards are free."""
    TURN = "turn"
    """Cards are free, and kept for a job before it."""
    SERVING = "serving"
    """A model server holds cards that it needs."""


class LeaseKind(StrEnum):
    """What a card is leased for."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    GENERATION = "generation"
    """The generator's, for as long as a run that makes samples has a server of its own."""
    SERVING = "serving"
    """A model server's: never taken from it, however long it is silent."""


class JobStatus(StrEnum):
    """Status column of finetuning_jobs."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


class Sampler(StrEnum):
    """How a sweep chooses what to try next."""

    TPE = "tpe"
    RANDOM = "random"


class Pruner(StrEnum):
    """How a sweep ends trials that fall behind."""

    NONE = "none"
    ASHA = "asha"
    """Asynchronous successive halving: at each rung the best third goes on."""
    HYPERBAND = "hyperband"
    """Several such ladders with rungs at different heights, for losses whose early values mislead."""


class SweepMetric(StrEnum):
    """What a sweep makes as good as it can. Names of TrainingReport's fields."""

    EVAL_LOSS = "eval_loss"
    TRAIN_LOSS = "train_loss"
    DURATION_SECONDS = "duration_seconds"
    PEAK_MEMORY_MB = "peak_memory_mb"
    TOKENS_PER_SECOND = "tokens_per_second"

    @property
    def is_to_grow(self) -> bool:
        """More is better; of all others less is."""
        return self is SweepMetric.TOKENS_PER_SECOND

    @property
    def is_measured_meanwhile(self) -> bool:
        """Known before a trial's end, so that a trial can be pruned by it."""
        return self in {SweepMetric.EVAL_LOSS, SweepMetric.TRAIN_LOSS}


class TrialState(StrEnum):
    """State of a sweep's trial."""

    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"


class CompressionMethod(StrEnum):
    """How a model is made smaller."""

    INT8 = "int8"
    """Weights and activations in 8-bit integers: a scale a row, and one a token at run time."""
    FP8 = "fp8"
    """The same in 8-bit floating point (E4M3); wants a GPU of the Ada or Hopper generation to run."""
    GPTQ = "gptq"
    """Weights in 4 bits, each rounding made up for by those that come after it."""
    AWQ = "awq"
    """Weights in 4 bits, channels that matter scaled up before the rounding."""
    WANDA = "wanda"
    """Weights set to zero that are small beside the activations they meet."""
    MAGNITUDE = "magnitude"
    """The smallest weights set to zero."""
    NEURONS = "neurons"
    """Whole neurons of the feed-forward layers taken out."""
    DISTILL = "distill"
    """A smaller model that is trained to give the parent's scores."""

    @property
    def quantizes(self) -> bool:
        """Weights in fewer bits; only vLLM serves them."""
        return self in {CompressionMethod.INT8, CompressionMethod.FP8, CompressionMethod.GPTQ, CompressionMethod.AWQ}

    @property
    def zeroes(self) -> bool:
        """Single weights become zero; the model stays as large as it was."""
        return self in {CompressionMethod.WANDA, CompressionMethod.MAGNITUDE}

    @property
    def calibrates(self) -> bool:
        """It looks at activations of real rows."""
        return self in {
            CompressionMethod.GPTQ,
            CompressionMethod.AWQ,
            CompressionMethod.WANDA,
            CompressionMethod.NEURONS,
        }


class GateDecision(StrEnum):
    """The gate's answer."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNDECIDED = "undecided"


class OverlapKind(StrEnum):
    """How a training row holds a test case, the plainest first."""

    EXACT = "exact"
    """A user's turn is the question but for case, spaces and punctuation."""
    NEAR = "near"
    """A user's turn is the question with a few characters changed, and leads to the same answer."""
    CONTAINED = "contained"
    """The question stands inside a longer text of the row."""
    NGRAM = "ngram"
    """A long case shares most of its runs of 13 characters with the row."""
    DOCUMENT = "document"
    """The row comes from the case's document, which was to be held out."""


class SuiteKind(StrEnum):
    """How a suite is asked and scored."""

    CASES = "cases"
    """Own test cases, each with its scorer."""
    HARNESS = "harness"
    """A task of lm-evaluation-harness with local data: KoBEST, KLUE, KMMLU."""
    SAFETY = "safety"
    """Questions that tempt: toxicity, bias, personal data, refusals."""
    PERPLEXITY = "perplexity"
    """Texts whose likelihood is measured."""


class SuiteStatus(StrEnum):
    """Life of a suite version."""

    DRAFT = "draft"
    LOCKED = "locked"
    ARCHIVED = "archived"


class CaseFault(StrEnum):
    """Why a row or an edit is no test case that an answer could be scored on."""

    UNREADABLE = "unreadable"
    NO_QUESTION = "no_question"
    NO_ACCEPTED_ANSWER = "no_accepted_answer"
    NO_LETTERS = "no_letters"
    UNKNOWN_SCORER = "unknown_scorer"
    UNKNOWN_OPTION = "unknown_option"
    WRONG_OPTION = "wrong_option"
    NOT_A_NUMBER = "not_a_number"
    UNKNOWN_UNIT = "unknown_unit"
    WRONG_PATTERN = "wrong_pattern"
    WRONG_CHOICES = "wrong_choices"
    NOT_A_CHOICE = "not_a_choice"
    WRONG_THRESHOLD = "wrong_threshold"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_QUESTION = "duplicate_question"
    WRONG_FIELD = "wrong_field"
    UNUSABLE = "unusable"
    """Whatever else a scorer says of it."""


class EvaluatedKind(StrEnum):
    """What stands behind the answers."""

    MODEL_VERSION = "model_version"
    JOB = "job"
    FOLDER = "folder"
    ENDPOINT = "endpoint"


class RatingKind(StrEnum):
    """How experts and judges rate answers."""

    PAIRWISE = "pairwise"
    """Two answers side by side."""
    RUBRIC = "rubric"
    """One answer, from 1 to 5."""


class Preference(StrEnum):
    """Of two answers, which is better."""

    A = "a"
    TIE = "tie"
    B = "b"
    BOTH_BAD = "both_bad"
    """Neither is of use; between the two it is a tie."""


class MeasurementLevel(StrEnum):
    """What the values of a rating mean."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


class ModelStatus(StrEnum):
    """Stage of a registered model version."""

    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


class ModelFormat(StrEnum):
    """What lies in a model version's folder."""

    HUGGINGFACE = "huggingface"
    LORA_ADAPTER = "lora_adapter"
    GGUF = "gguf"
    AWQ = "awq"
    GPTQ = "gptq"
    INT8 = "int8"
    FP8 = "fp8"


class LineageKind(StrEnum):
    """What stands in a lineage, in the order in which one comes of the other."""

    DOCUMENT = "document"
    DATASET = "dataset"
    JOB = "job"
    CHECKPOINT = "checkpoint"
    MODEL = "model"
    SUITE = "suite"
    EVALUATION = "evaluation"
    RESULT = "result"
    """What one model scored on one suite."""
    DEPLOYMENT = "deployment"
    EXPERIMENT = "experiment"
    VERDICT = "verdict"
    """Of an A/B test."""


class CataloguePart(StrEnum):
    """In what MLflow's registry may differ from PostgreSQL's."""

    VERSION = "version"
    """One of them lacks the version."""
    URI = "uri"
    TAG = "tag"
    ALIAS = "alias"
    DESCRIPTION = "description"


class PromotionKind(StrEnum):
    """How a version came into production."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


class ServerBackend(StrEnum):
    """Which program answers."""

    VLLM = "vllm"
    EMBEDDED = "embedded"
    URL = "url"
    """A server that runs already and that others start and stop."""


class ParityForm(StrEnum):
    """In which form a fine-tuned model is served."""

    WHOLE = "whole"
    """All weights in one folder: fully fine-tuned, or an adapter merged into its base."""
    ADAPTER = "adapter"
    QUANTISED = "quantised"


class DeploymentState(StrEnum):
    """Life of a deployment."""

    PLANNED = "planned"
    STARTING = "starting"
    """Its card is leased; its server is being brought up."""
    HEALTHY = "healthy"
    """The server answers and knows the model."""
    PARITY_CHECKED = "parity_checked"
    """It answers as the trained weights do; the certificate says how near."""
    WARMED = "warmed"
    """It has answered a question."""
    SERVING = "serving"
    """Users are sent to it."""
    DRAINING = "draining"
    """No new users; the answers that have begun are given to their end."""
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Nothing more happens; the model version can be deployed anew."""
        return self in {DeploymentState.STOPPED, DeploymentState.FAILED}


class Arm(StrEnum):
    """Side of an A/B test: a is the present model, b the new one."""

    A = "a"
    B = "b"


class AnswerStatus(StrEnum):
    """How a question to the router ended."""

    COMPLETE = "complete"
    REFUSED = "refused"
    """The model server found fault with the question: status 4xx."""
    ABANDONED = "abandoned"
    """The user left before the end."""
    BROKEN = "broken"
    """It broke off in the middle of a stream."""
    FAILED = "failed"
    """No server of the model version answered."""


class Exposure(StrEnum):
    """Why a user of the router got the model they got."""

    ASSIGNED = "assigned"
    """By the keyed hash of an A/B test."""
    OVERRIDE = "override"
    """A tester, to whom the A/B test gives the arm they asked for; counts in no comparison."""
    HOLDOUT = "holdout"
    """Kept out of the A/B test for all its length."""
    NOT_YET = "not_yet"
    """The ramp of the A/B test has not come to them."""
    BY_NAME = "by_name"
    """They asked for a model by its name."""
    NO_EXPERIMENT = "no_experiment"


class ExperimentStatus(StrEnum):
    """Life of an A/B test."""

    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"


class ExperimentPolicy(StrEnum):
    """What is done with an A/B test's verdict. Going back to the present model is never asked for."""

    AUTO = "auto"
    """The winner goes into production by itself."""
    APPROVE = "approve"
    """A promotion waits for a person."""
    NOTIFY = "notify"
    """People are told, and conclude the test themselves."""


class PairedOutcome(StrEnum):
    """What became of a test case that two models answered, seen from the second."""

    WON = "won"
    LOST = "lost"
    BOTH_RIGHT = "both_right"
    BOTH_WRONG = "both_wrong"

    @classmethod
    def of(cls, reference_correct: bool, other_correct: bool) -> "PairedOutcome":
        """By who was right."""
        if reference_correct == other_correct:
            return cls.BOTH_RIGHT if reference_correct else cls.BOTH_WRONG
        return cls.WON if other_correct else cls.LOST


class GuardrailName(StrEnum):
    """In what the new model may do no harm."""

    FAILURES = "failures"
    USER_RATING = "user_rating"
    RESPONSE_TIME_MS = "response_time_ms"


class ReplaySource(StrEnum):
    """Where the questions of a shadow replay come from."""

    RECORDED = "recorded"
    """What users asked."""
    SUITE = "suite"
    """A managed suite or a file of test cases."""


class ReplayMeasure(StrEnum):
    """By what two answers to one question are compared."""

    JUDGE = "judge"
    """A judging model, in both orders."""
    RULES = "rules"
    """The case's scorer; without accepted answers: whether there is a whole answer at all."""


class DecisionCause(StrEnum):
    """What ended an A/B test."""

    VERDICT = "verdict"
    GUARDRAIL = "guardrail"
    SCHEDULE = "schedule"
    """Its planned end came before it could be decided."""
    PERSON = "person"


class StageName(StrEnum):
    """The stages, in order."""

    GENERATE_QA = "generate_qa"
    """Documents become samples; before the pipeline, where there are documents."""
    TUNE_HYPERPARAMETERS = "tune_hyperparameters"
    """A sweep over a recipe's numbers; beside the pipeline."""
    COMPRESS_MODEL = "compress_model"
    """A finished model made smaller; beside the pipeline."""
    EVALUATE_SUITES = "evaluate_suites"
    """One model on one or more suites; beside the pipeline."""
    IMPORT_DATASET = "import_dataset"
    PREPARE = "prepare"
    CHECK_QUALITY = "check_quality"
    TRAIN = "train"
    EVALUATE = "evaluate"
    GATE = "gate"
    REGISTER = "register"
    DEPLOY = "deploy"
    START_AB_TEST = "start_ab_test"
    MONITOR_AB_TEST = "monitor_ab_test"
    """Looks at running A/B tests and carries out what they decide; beside the pipeline, each minute."""
    CONCLUDE_AB_TEST = "conclude_ab_test"
    """A person's answer to an A/B test; beside the pipeline."""
    REPLAY_AB_TEST = "replay_ab_test"
    """The same questions to both models of an A/B test; beside the pipeline."""


_BESIDE = (
    StageName.GENERATE_QA,
    StageName.TUNE_HYPERPARAMETERS,
    StageName.COMPRESS_MODEL,
    StageName.EVALUATE_SUITES,
    StageName.MONITOR_AB_TEST,
    StageName.CONCLUDE_AB_TEST,
    StageName.REPLAY_AB_TEST,
)
PIPELINE_STAGES = tuple(stage for stage in StageName if stage not in _BESIDE)
"""The stages that every run of the whole pipeline has."""


class StageStatus(StrEnum):
    """State of one stage of one pipeline run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class ProtectedAttribute(StrEnum):
    """What people must not be judged by. Order and names follow the Korean law on human rights and KoBBQ."""

    GENDER = "gender"
    AGE = "age"
    REGION = "region"
    RELIGION = "religion"
    DISABILITY = "disability"
    NATIONALITY = "nationality"
    """Also race and origin."""
    SEXUAL_ORIENTATION = "sexual_orientation"
    APPEARANCE = "appearance"
    FAMILY = "family"
    STATUS = "status"
    """Wealth and occupation."""
    EDUCATION = "education"
    POLITICS = "politics"


class WatermarkScheme(StrEnum):
    """What of a model carries the mark; the number changes with how it is laid."""

    WEIGHTS = "weights-1"
    """Each weight of the linear layers."""
    ADAPTER = "adapter-1"
    """The change that the adapter makes to each linear layer, however its factors are cut."""


class WatermarkVerdict(StrEnum):
    """What a look for a key's mark says."""

    DETECTED = "detected"
    """z of 8 or more: by chance once in 10^13 looks at most."""
    INCONCLUSIVE = "inconclusive"
    NOT_DETECTED = "not_detected"
    """z below 4."""


class SignatureState(StrEnum):
    """What a look at a model folder's signature says."""

    INTACT = "intact"
    """Signed by a trusted key, and every file is as it was then."""
    CHANGED = "changed"
    UNKNOWN_SIGNER = "unknown_signer"
    BROKEN = "broken"
    """There is a signature file that holds none."""
    UNSIGNED = "unsigned"
