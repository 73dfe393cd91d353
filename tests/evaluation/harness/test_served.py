"""Benchmarks over a served model: a server that tells no likelihoods is refused."""

import pytest

from contracts.enums import SuiteKind
from contracts.errors import InvalidRequestError
from evaluation.suites.harness import check_harness, harness_settings
from evaluation.suites.kind import Subject
from evaluation.test_cases import Suite
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


@pytest.mark.slow
def test_the_embedded_server_is_refused_before_anything_runs(suite, embedded_endpoint):
    with pytest.raises(InvalidRequestError, match="does not tell the likelihood"):
        check_harness(suite, Subject(BASE_NAME, endpoint_url=embedded_endpoint.base_url))
