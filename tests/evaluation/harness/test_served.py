"""Benchmarks over a served model: vLLM tells likelihoods, the embedded server is refused."""

import pytest

from contracts.enums import SuiteKind
from contracts.errors import ConflictError, InvalidRequestError
from evaluation.suites.harness import check_harness, harness_settings, run_harness
from evaluation.suites.kind import RunOptions, RunState, Subject
from evaluation.test_cases import Suite
from storage.journal import KeyedJournal
from tests.model_fixtures import BASE_NAME

REVIEWS = [
    "배송이 빠릅니다",
    "다시 사지 않겠습니다",
    "색이 곱습니다",
    "금방 고장이 났습니다",
    "품질이 좋습니다",
    "실망했습니다",
]


@pytest.fixture
def suite(tmp_path):
    rows = "".join(f"{number}\t{number % 2}\t{text}\n" for number, text in enumerate(REVIEWS))
    (tmp_path / "sentineg_dev.tsv").write_text("ID\tLabel\tText\n" + rows, encoding="utf-8")
    settings = harness_settings("kobest_sentineg", tmp_path, 0)
    return Suite("sentineg", "", "", [], {}, 1, SuiteKind.HARNESS, settings)


def _likelihoods(suite, subject, folder):
    folder.mkdir()
    with KeyedJournal(folder / "journal.jsonl", ConflictError("in use")) as journal:
        run_harness(suite, subject, RunOptions(), RunState(folder, journal, lambda done, total: None))
        return [entry["value"][0] for key in journal if (entry := journal.get(key)) is not None]


@pytest.mark.slow
def test_the_embedded_server_is_refused_before_anything_runs(suite, embedded_endpoint):
    with pytest.raises(InvalidRequestError, match="does not tell the likelihood"):
        check_harness(suite, Subject(BASE_NAME, endpoint_url=embedded_endpoint.base_url))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_model_served_by_vllm_has_the_likelihoods_of_its_weights(suite, vllm_endpoint, tiny_models, tmp_path):
    served = Subject(BASE_NAME, endpoint_url=vllm_endpoint.base_url)
    check_harness(suite, served)
    over_http = _likelihoods(suite, served, tmp_path / "served")
    in_process = _likelihoods(suite, Subject("tiny", model_path=tiny_models.base), tmp_path / "weights")
    assert len(over_http) == 12
    assert over_http == pytest.approx(in_process, rel=1e-3)
