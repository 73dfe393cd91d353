"""The report of a verdict, as a person reads it."""

import sys
from types import ModuleType
from typing import Any

import pytest

from contracts.enums import GateDecision, Metric, ServerBackend, StageName
from contracts.evaluation import Accuracy, EvaluationReport, GateRequest, GateVerdict, Interval, SuiteReport
from operators.gate_operator import (
    GateOperator,
    ReportCompressionOperator,
    ReportVerdictOperator,
    verdict_report,
)
from tests.stages.compression import compression_report


def accuracy(correct, n, **by_category):
    return Accuracy(
        n=n, correct=correct, accuracy=correct / n, interval=Interval(lower=0.5, upper=0.75), by_category=by_category
    )


EVALUATION = EvaluationReport(
    evaluation_id=1, job_id=1, backend=ServerBackend.VLLM, served_model_name="m",
    main=SuiteReport(
        name="규정", path="p", sha256="s", base=accuracy(20, 100),
        tuned=accuracy(64, 100, 통행료=0.9, 안전=0.3, 계약=0.5, 민원=0.7), mcnemar_p=0.01, won=50, lost=6,
    ),
    extras=[], unstable_answers=0, repeated_answers=0, seconds=1,
)  # fmt: skip


def verdict(decision):
    return GateVerdict(
        evaluation_id=1, decision=decision, metric=Metric.ACCURACY, accuracy_bar=0.9, accuracy=0.64,
        interval=Interval(lower=0.54, upper=0.73), lower_bound_one_sided=0.55, n=100, reasons=["기준보다 26 %p 낮습니다."],
    )  # fmt: skip


def test_a_failed_verdict_says_why_where_and_what_next():
    text = "\n".join(verdict_report(verdict(GateDecision.FAIL), EVALUATION))
    assert "불합격" in text
    assert "합격 기준: 정확도 90.0%" in text
    assert "정확도 64.0% (95 % 신뢰구간 54.0%~73.0%, 문항 100개)" in text
    assert "사유: 기준보다 26 %p 낮습니다." in text
    assert "기반 모델 20.0% (20/100" in text
    assert "정확도가 낮은 분류: 안전 30.0%, 계약 50.0%, 민원 70.0%" in text
    assert "다음 단계" in text


@pytest.mark.parametrize(
    ("decision", "word"),
    [(GateDecision.PASS, "합격:"), (GateDecision.FAIL, "불합격:"), (GateDecision.UNDECIDED, "판정 보류:")],
)
def test_the_verdict_is_the_first_word(decision, word):
    assert verdict_report(verdict(decision), EVALUATION)[0].startswith(word)


def test_a_passed_verdict_needs_no_next_step():
    assert not any("다음 단계" in line for line in verdict_report(verdict(GateDecision.PASS), EVALUATION))


def test_the_report_is_left_for_programs_too(context, task_instance):
    task_instance.left = {
        "gate": verdict(GateDecision.FAIL).model_dump(mode="json"),
        "collect_evaluation": EVALUATION.model_dump(mode="json"),
    }
    report = ReportVerdictOperator(task_id="report_below_bar").execute(context)["report"]
    assert report == verdict_report(verdict(GateDecision.FAIL), EVALUATION)


@pytest.mark.parametrize(
    ("decision", "skipped"), [(GateDecision.PASS, "report_below_bar"), (GateDecision.FAIL, "register")]
)
def test_the_verdict_is_left_although_branching_ends_the_task(
    decision, skipped, context, task_instance, services, pipeline_run, monkeypatch
):
    """Airflow ends a branching task with an exception, and a returned value with it."""
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import DownstreamTasksSkipped

    module: Any = ModuleType("stages.gate")
    module.gate = lambda request, services: verdict(decision)
    monkeypatch.setitem(sys.modules, "stages.gate", module)
    with DAG("finetune_pipeline", schedule=None):
        gate = GateOperator(
            task_id="gate",
            stage=StageName.GATE,
            request=lambda run: GateRequest(evaluation_id=1),
            when_passed="register",
            otherwise="report_below_bar",
        )
        gate >> [EmptyOperator(task_id="register"), EmptyOperator(task_id="report_below_bar")]
    task_instance.task = gate
    with pytest.raises(DownstreamTasksSkipped) as skip:
        gate.execute(context)
    assert list(skip.value.tasks) == [(skipped, -1)]
    assert task_instance.pushed["return_value"] == verdict(decision).model_dump(mode="json")


def test_a_verdict_on_a_compressed_model_names_its_parent():
    text = "\n".join(verdict_report(verdict(GateDecision.FAIL), EVALUATION.model_copy(update={"parent_job_id": 4})))
    assert "원본 모델 20.0% (20/100" in text
    assert "압축한 모델 64.0% (64/100" in text
    assert "다시 압축하시기 바랍니다" in text
    assert "기반 모델" not in text


def test_the_cost_of_a_compression_is_told_in_both_languages(context, task_instance):
    task_instance.left = {
        "collect_compression": compression_report().model_dump(mode="json"),
        "collect_evaluation": EVALUATION.model_copy(update={"parent_job_id": 4}).model_dump(mode="json"),
    }
    left = ReportCompressionOperator(task_id="report_cost").execute(context)
    korean, english = left["report"], left["report_en"]
    assert isinstance(korean, list)
    assert isinstance(english, list)
    assert "방식: INT8(가중치와 활성값 8비트 정수), 원본은 작업 4번의 모델" in korean
    assert "Method: INT8 (weights and activations in 8-bit integers), made of the model of job 4" in english
