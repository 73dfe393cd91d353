"""Which engine answers: what would be started is what is then told."""

import pytest

from deployment.engine import UNKNOWN_ENGINE, engine_at, installed_engine
from tests.model_fixtures import require_vllm, settings_for
from tests.ports import free_port


@pytest.mark.slow
def test_the_embedded_server_tells_the_version_that_is_installed(embedded_endpoint):
    assert engine_at(embedded_endpoint.base_url) == installed_engine(settings_for("embedded"))


@pytest.mark.slow
def test_vllm_tells_the_version_that_is_installed(vllm_endpoint):
    assert engine_at(vllm_endpoint.base_url) == installed_engine(settings_for("vllm"))


def test_vllms_version_is_read_without_starting_it():
    settings = settings_for("vllm")
    require_vllm(settings)
    assert installed_engine(settings).startswith("vllm ")
    assert installed_engine(settings) != f"vllm {UNKNOWN_ENGINE}"


def test_a_server_that_tells_nothing_is_unknown():
    assert engine_at(f"http://127.0.0.1:{free_port()}/v1") == UNKNOWN_ENGINE
