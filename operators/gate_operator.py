"""The gate as a branch, and the report of a run that ends there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.branch import BranchMixIn
from airflow.sdk import BaseOperator

from contracts.enums import GateDecision, Metric
from contracts.evaluation import EvaluationReport, GateVerdict
from contracts.training import TrainingReport
from operators.failures import airflow_failures
from operators.run_records import RunRecords
from operators.stage_operator import StageOperator
from stages.compression_report import cost_lines

if TYPE_CHECKING:
    from airflow.sdk import Context

    from contracts.evaluation import Accuracy, Interval
    from contracts.record import JsonObject


class GateOperator(StageOperator, BranchMixIn):
    """Judges, then goes on with one of two tasks. Its record is the verdict, which CI reads.

    :param when_passed: task_id to go on with when the model may be registered
    :param otherwise: task_id to go on with when it may not, or when that cannot be decided yet
    """

    ui_color = "#fef7e0"
    inherits_from_skipmixin = True

    def __init__(self, *, when_passed: str, otherwise: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.when_passed = when_passed
        self.otherwise = otherwise

    def execute(self, context: Context) -> JsonObject:
        """The verdict; the branch not taken is skipped."""
        verdict = self.stage_record(context)
        assert isinstance(verdict, GateVerdict)
        for reason in verdict.reasons:
            self.log.info("%s", reason)
        as_json = verdict.model_dump(mode="json")
        # before branching, which ends the task with an exception: a returned value would be lost
        context["ti"].xcom_push(key="return_value", value=as_json)
        self.do_branch(context, self.when_passed if verdict.passed else self.otherwise)
        return as_json


class ReportVerdictOperator(BaseOperator):
    """Writes down, for a person, what was measured and why the gate answered as it did."""

    ui_color = "#e6f4ea"

    def execute(self, context: Context) -> JsonObject:
        """The report's lines, also in the task log."""
        with airflow_failures():
            run = RunRecords.of(context)
            lines = verdict_report(run.record("gate", GateVerdict), run.record("collect_evaluation", EvaluationReport))
        for line in lines:
            self.log.info("%s", line)
        return {"report": list(lines)}


class ReportCompressionOperator(BaseOperator):
    """Writes down what a compression did and what it costs, in Korean and in English, whatever the gate says."""

    ui_color = "#e6f4ea"

    def execute(self, context: Context) -> JsonObject:
        """The report's lines in both languages, also in the task log."""
        with airflow_failures():
            run = RunRecords.of(context)
            facts = run.record("collect_compression", TrainingReport).compression
            assert facts is not None, "the report of a compression"
            evaluation = run.record("collect_evaluation", EvaluationReport)
            lines = {language: cost_lines(facts, evaluation, language) for language in ("ko", "en")}
        for line in (*lines["ko"], *lines["en"]):
            self.log.info("%s", line)
        return {"report": list(lines["ko"]), "report_en": list(lines["en"])}


def verdict_report(verdict: GateVerdict, evaluation: EvaluationReport) -> list[str]:
    """The report's lines, in Korean."""
    conclusion = {
        GateDecision.PASS: "합격: 모델을 등록할 수 있습니다.",
        GateDecision.FAIL: "불합격: 합격 기준에 미치지 못하여 모델을 등록하지 않았습니다.",
        GateDecision.UNDECIDED: "판정 보류: 문항 수가 부족하여 합격 여부를 판단할 수 없으므로 모델을 등록하지 않았습니다.",
    }[verdict.decision]
    metric = {Metric.ACCURACY: "정확도", Metric.ACCURACY_LOWER_BOUND: "정확도의 95 % 신뢰 하한"}[verdict.metric]
    lines = [
        conclusion,
        f"합격 기준: {metric} {_percent(verdict.accuracy_bar)}",
        f"판정 대상: 정확도 {_percent(verdict.accuracy)} ({_interval(verdict.interval)}, 문항 {verdict.n}개)",
        *(f"사유: {reason}" for reason in verdict.reasons),
    ]
    is_compression = evaluation.parent_job_id is not None
    before, after = ("원본 모델", "압축한 모델") if is_compression else ("기반 모델", "튜닝 모델")
    for suite in (evaluation.main, *evaluation.extras):
        lines.append(f"{suite.name}: {before} {_accuracy(suite.base)}, {after} {_accuracy(suite.tuned)}")
    weakest = sorted(evaluation.main.tuned.by_category.items(), key=lambda item: item[1])[:3]
    if weakest:
        lines.append("정확도가 낮은 분류: " + ", ".join(f"{name} {_percent(value)}" for name, value in weakest))
    if verdict.decision is not GateDecision.PASS:
        lines.append(
            "다음 단계: 비트 수가 더 많은 방식이나 더 작은 제거 비율로, 또는 더 큰 학생 모델로 다시 압축하시기 바랍니다."
            if is_compression
            else "다음 단계: 정확도가 낮은 분류의 학습 자료를 보강하거나, 에폭 수와 LoRA 랭크를 늘려 다시 실행하시기 바랍니다."
        )
    return lines


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _interval(interval: Interval) -> str:
    return f"95 % 신뢰구간 {_percent(interval.lower)}~{_percent(interval.upper)}"


def _accuracy(accuracy: Accuracy) -> str:
    return f"{_percent(accuracy.accuracy)} ({accuracy.correct}/{accuracy.n}, {_interval(accuracy.interval)})"
