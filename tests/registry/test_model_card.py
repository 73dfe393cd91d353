"""The model card tells the same numbers in both languages."""

import re
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from contracts.datasets import DatasetVersion
from contracts.enums import EvaluatedKind, ModelFormat, ParityForm, ServerBackend, SuiteKind
from contracts.evaluation import GateRequest, Interval
from contracts.parity import ParityCertificate, ParityCheck
from contracts.record import utc_now
from contracts.suites import EvaluatedModel, ScoreEstimate, SuiteResult
from contracts.training import TrainRequest
from deployment.parity import tolerance_for
from evaluation.gate import decide_gate
from registry.card_texts import TEXTS
from registry.model_card import CardContent, write_model_card
from tests.evaluation.builders import report, suite
from tests.stages.finished_job import training_report
from tests.stages.lineage_story import conditions


def result(kind: SuiteKind, name: str, value: float, **changes: Any) -> SuiteResult:
    estimate = ScoreEstimate(
        name="accuracy", value=value, interval=Interval(lower=value - 0.05, upper=value + 0.05), n=120
    )
    return SuiteResult.model_validate(
        {
            "result_id": 1,
            "model": EvaluatedModel(kind=EvaluatedKind.MODEL_VERSION, name="assistant 3", content_hash="a" * 64),
            "conditions": conditions(name),
            "kind": kind,
            "scores": [estimate],
            "by_category": {},
            "n": 120,
            "excluded": {},
            "unstable_answers": 0,
            "repeated_answers": 20,
            "seconds": 1.0,
            "created_at": utc_now(),
            **changes,
        }
    )


def content(**changes: Any) -> CardContent:
    dataset = DatasetVersion(
        dataset_id=5,
        name="regulations",
        version="v1.2",
        content_hash="b" * 64,
        file_path="/data/5",
        total_samples=1200,
        train_samples=1000,
        val_samples=100,
        test_samples=100,
        removed={"exact_duplicate": 12},
        masked={"이름": 7},
        quality_score=0.9,
        categories={},
    )
    request = TrainRequest(job_name="tolls-1", dataset_id=5, base_model="demo-base")
    evaluation = report(extras=[suite("unseen", 50, 1, 35)])
    given: dict[str, Any] = {
        "model_name": "assistant",
        "version": "3",
        "content_hash": "c" * 64,
        "model_format": ModelFormat.LORA_ADAPTER,
        "size_gb": 0.25,
        "description": "",
        "dataset": dataset,
        "documents": [f"{number}.hwp" for number in range(8)],
        "training": training_report(7, 5, request, Path("/base"), Path("/out"), weights_sha256="d" * 64),
        "evaluation": evaluation,
        "verdict": decide_gate(evaluation, GateRequest(evaluation_id=3)),
        "suites": [
            result(SuiteKind.CASES, "road-rules", 0.912, excluded={"no answer": 3}, unstable_answers=2),
            result(SuiteKind.SAFETY, "safety", 0.98),
        ],
        "base_licence": "apache-2.0",
        **changes,
    }
    return CardContent(**given)


def numbers(text: str) -> list[str]:
    """Every number of the card but those of sentences that one language alone has."""
    kept = [line for line in text.splitlines() if "|" in line or line.startswith("- ")]
    return sorted(re.findall(r"\d+(?:[.,]\d+)*", "\n".join(kept)))


@pytest.mark.parametrize(("passed", "said"), [(True, "agree on 50 prompts"), (False, "not deployed")])
def test_the_card_says_whether_what_is_served_is_what_was_trained(passed, said):
    certificate = ParityCertificate(
        model_id=1,
        content_hash="c" * 64,
        form=ParityForm.ADAPTER,
        backend=ServerBackend.VLLM,
        engine="vllm 0.32.0",
        trainer="transformers",
        dtype="float32",
        tolerance=tolerance_for(ParityForm.ADAPTER, "float32"),
        prompts=50,
        prompt_source="built in",
        tokens=800,
        checks=[ParityCheck(name="continuation", passed=passed, compared=800, detail="")],
        largest_logprob_difference=None,
        first_difference=None,
        ties=[],
        checked_at=datetime(2026, 11, 28, tzinfo=UTC),
    )
    card = write_model_card(content(certificate=certificate), "en")
    assert said in card
    assert "2026-11-28" in card


def test_suites_safety_licence_lineage_and_verdict_stand_in_the_card_with_intervals():
    card = write_model_card(content(), "ko")
    assert "| road-rules v1 | accuracy | 91.2 % | 86.2 %~96.2 % | 120 | vllm 0.11.2 |" in card
    assert "road-rules v1: 점수 없이 제외한 문항 3개(no answer 3)" in card
    assert "road-rules v1: 두 번 물은 20문항 중 2문항의 답이 달랐습니다" in card
    assert card.index("## 안전성") < card.index("| safety v1 | accuracy | 98.0 %")
    assert "- 기반 모델의 이용 허락: apache-2.0" in card
    assert "`0.hwp`, `1.hwp`, `2.hwp`, `3.hwp`, `4.hwp` 외 3건" in card
    assert "데이터셋 버전 regulations v1.2 → 파인튜닝 작업 7번(tolls-1) → 모델 버전 assistant 3" in card
    assert "- 판정: **합격** (지표: 정확도, 기준 90.0 %)" in card


def test_the_english_card_has_no_korean_and_the_same_numbers():
    one = content(verdict=None)
    english, korean = write_model_card(one, "en"), write_model_card(one, "ko")
    assert re.findall(r"[가-힣]", english) == []
    assert numbers(english) == numbers(korean)
    assert "Verdict: **pass** (metric: accuracy, bar 90.0 %)" in write_model_card(content(), "en")


def test_what_was_not_measured_is_said_not_to_be():
    card = write_model_card(content(evaluation=None, verdict=None, suites=[], base_licence=None), "en")
    for sentence in (
        "Not evaluated yet.",
        "No verdict yet.",
        "Not yet evaluated for safety",
        "its folder does not say",
    ):
        assert sentence in card


def test_the_same_content_is_the_same_card():
    assert write_model_card(content()) == write_model_card(content())


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_a_text_has_the_same_places_in_both_languages(key):
    korean, english = ({name for _, name, _, _ in Formatter().parse(text) if name} for text in TEXTS[key])
    assert korean == english
