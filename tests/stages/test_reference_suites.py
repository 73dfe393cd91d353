"""Benchmarks and texts become managed suites, and are evaluated beside test cases in one run."""

import json

import pytest

from contracts.enums import SuiteKind, SuiteStatus
from contracts.errors import ConflictError, InvalidRequestError
from contracts.suites import EvaluateSuitesRequest
from settings import load_settings
from stages import evaluate_suites
from stages.reference_suites import import_benchmark, import_texts
from stages.services import open_services
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port
from tests.security.model_folders import plain_folder

SENTINEG = "ID\tLabel\tText\n" + "".join(f"{n}\t{n % 2}\t{n}번째 상품평입니다\n" for n in range(12))


@pytest.fixture
def inbox(services):
    folder = services.settings.data_dir / "inbox"
    folder.mkdir(parents=True)
    (folder / "sentineg_dev.tsv").write_text(SENTINEG, encoding="utf-8")
    (folder / "notices.txt").write_text("통행료를 안내합니다.\n\n휴게소를 안내합니다.", encoding="utf-8")
    return folder


def test_a_benchmark_is_a_locked_suite_and_the_same_data_are_the_same_version(services, inbox):
    first = import_benchmark("sentineg", "kobest_sentineg", inbox, 0, actor="kim", services=services)
    assert (first.kind, first.status, first.version) == (SuiteKind.HARNESS, SuiteStatus.LOCKED, 1)
    assert (first.settings["documents"], first.settings["shots"]) == (12, 0)
    assert import_benchmark("sentineg", "kobest_sentineg", inbox, 0, actor="lee", services=services) == first
    (inbox / "sentineg_dev.tsv").write_text(SENTINEG + "99\t1\t좋습니다\n", encoding="utf-8")
    assert import_benchmark("sentineg", "kobest_sentineg", inbox, 0, actor="kim", services=services).version == 2


def test_data_outside_the_allowed_folders_are_refused(services, inbox, tmp_path):
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    with pytest.raises(InvalidRequestError, match="outside the folders"):
        import_benchmark("sentineg", "kobest_sentineg", outside, 0, actor="kim", services=services)


def test_data_that_changed_after_the_import_are_refused_before_a_model_is_loaded(services, inbox, tmp_path):
    import_texts("notices", inbox / "notices.txt", actor="kim", services=services)
    (inbox / "notices.txt").write_text("다른 글", encoding="utf-8")
    model = plain_folder(services.settings.models_dir / "base" / "model")
    with pytest.raises(ConflictError, match="changed after it was imported"):
        evaluate_suites.create_job(EvaluateSuitesRequest(model=str(model), suites=["notices"]), services)


@pytest.mark.slow
def test_cases_benchmark_and_perplexity_of_a_model_in_one_run(services, inbox, tiny_model, monkeypatch):
    monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", "embedded")
    monkeypatch.setenv("TUNEWAY_RUNNER_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("TUNEWAY_MODEL_ROOTS", json.dumps([str(tiny_model.parent)]))
    alone = open_services(load_settings())
    import_benchmark("sentineg", "kobest_sentineg", inbox, 0, actor="kim", services=alone)
    import_texts("notices", inbox / "notices.txt", actor="kim", services=alone)
    cases = str(REPOSITORY_ROOT / "demo" / "test_cases" / "regulations.jsonl")
    request = EvaluateSuitesRequest(
        model=str(tiny_model), suites=["sentineg", cases, "notices"], max_cases=10, max_answer_tokens=8
    )
    report = evaluate_suites.evaluate_suites(request, alone)
    assert [result.kind for result in report.results] == [SuiteKind.HARNESS, SuiteKind.CASES, SuiteKind.PERPLEXITY]
    assert [result.primary.name for result in report.results] == ["acc", "accuracy", "bits_per_character"]
    assert [result.n for result in report.results] == [10, 10, 2]
    engines = [result.conditions.engine.split()[0] for result in report.results]
    assert engines == ["transformers", "embedded", "transformers"]
    assert evaluate_suites.evaluate_suites(request, alone).reused == ["sentineg", "regulations", "notices"]
