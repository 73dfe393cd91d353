"""Model servers under the supervisor."""

import json
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.errors import ConflictError, InvalidRequestError, JobFailedError, UnavailableError
from deployment import client
from deployment.permanent import (
    all_servers,
    ensure_server,
    program_name,
    read_state,
    remove_server,
    state_path,
    supervisor,
)
from deployment.specification import LoraAdapter, ServerSpec, lora_adapter, server_key
from settings import Settings, load_settings
from tests.deployment.supervised import running_supervisor
from tests.model_fixtures import ADAPTER_NAME, BASE_NAME, SECOND_ADAPTER_NAME, require_vllm
from tests.serving_api.running import wait_until

pytestmark = pytest.mark.slow

PORT_BASE = 24200


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # the path of a unix socket has at most 107 characters: pytest's own folders are too deep
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        yield Path(folder)


@pytest.fixture
def settings(data_dir, monkeypatch, request) -> Iterator[Settings]:
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(data_dir))
    monkeypatch.setenv("TUNEWAY_MODEL_SERVER_PORT", str(PORT_BASE))
    monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", getattr(request, "param", "embedded"))
    loaded = load_settings()
    with running_supervisor(loaded):
        yield loaded


def pid_of(settings: Settings, key: str) -> int:
    with supervisor(settings) as supervisord:
        return int(supervisord.getProcessInfo(program_name(key))["pid"])


@pytest.mark.parametrize("settings", ["embedded", pytest.param("vllm", marks=pytest.mark.deep)], indirect=True)
def test_a_killed_server_comes_back_with_the_adapters_loaded_since_its_start(settings, tiny_models):
    if settings.model_server_backend == "vllm":
        require_vllm(settings)
    key = server_key(str(tiny_models.base))
    endpoint = ensure_server(tiny_models.spec(), settings)
    first = pid_of(settings, key)
    later = ServerSpec(
        model_path=str(tiny_models.base),
        served_model_name=BASE_NAME,
        adapters=[lora_adapter(SECOND_ADAPTER_NAME, tiny_models.second_adapter)],
    )
    assert ensure_server(later, settings).base_url == endpoint.base_url
    assert pid_of(settings, key) == first
    os.killpg(first, signal.SIGKILL)
    wait_until(lambda: not client.is_healthy(endpoint.base_url))
    wait_until(lambda: client.is_healthy(endpoint.base_url), 300)
    assert pid_of(settings, key) != first
    assert set(client.model_names(endpoint.base_url)) == {BASE_NAME, ADAPTER_NAME, SECOND_ADAPTER_NAME}


def test_asking_for_a_server_again_changes_nothing(settings, tiny_models):
    key = server_key(str(tiny_models.base))
    endpoint = ensure_server(tiny_models.spec(), settings)
    before = (pid_of(settings, key), state_path(settings, key).read_bytes())
    assert ensure_server(tiny_models.spec(), settings) == endpoint
    assert (pid_of(settings, key), state_path(settings, key).read_bytes()) == before
    other = tiny_models.spec().model_copy(update={"max_model_length": 128})
    with pytest.raises(ConflictError, match="runs with other settings"):
        ensure_server(other, settings)
    assert (pid_of(settings, key), state_path(settings, key).read_bytes()) == before


def test_a_taken_port_is_passed_over_and_the_chosen_one_is_kept(settings, tiny_models):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", PORT_BASE))
        taken.listen()
        endpoint = ensure_server(tiny_models.spec(), settings)
        assert endpoint.base_url == f"http://127.0.0.1:{PORT_BASE + 1}/v1"
    assert ensure_server(tiny_models.spec(), settings) == endpoint


def test_an_adapter_that_does_not_load_leaves_the_server_as_it_was(settings, tiny_models, tmp_path):
    key = server_key(str(tiny_models.base))
    endpoint = ensure_server(tiny_models.spec(), settings)
    before = read_state(state_path(settings, key))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "adapter_config.json").write_text(json.dumps({"r": 8, "lora_alpha": 16}), encoding="utf-8")
    with pytest.raises(JobFailedError, match="did not load the adapter"):
        ensure_server(tiny_models.spec().with_adapters([lora_adapter("broken", broken)]), settings)
    assert read_state(state_path(settings, key)) == before
    assert client.ask(endpoint.base_url, ADAPTER_NAME, "하나", 4)


def test_another_content_under_a_known_name_is_refused(settings, tiny_models):
    ensure_server(tiny_models.spec(), settings)
    other = LoraAdapter(name=ADAPTER_NAME, path=str(tiny_models.second_adapter), rank=16)
    spec = ServerSpec(model_path=str(tiny_models.base), served_model_name=BASE_NAME, adapters=[other])
    with pytest.raises(InvalidRequestError, match="already stands for something else"):
        ensure_server(spec, settings)


@pytest.mark.deep
def test_a_server_that_cannot_start_is_forgotten_and_its_log_is_shown(settings, tiny_models, tmp_path):
    model = tmp_path / "llama"
    model.mkdir()
    config = {**json.loads((tiny_models.base / "config.json").read_text()), "model_type": "llama"}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(JobFailedError, match="does not come up") as error:
        ensure_server(ServerSpec(model_path=str(model), served_model_name="m"), settings)
    assert "cannot serve a model of this architecture" in str(error.value)
    assert all_servers(settings) == []
    assert list((settings.run_dir / "programs.d").iterdir()) == []


def test_a_removed_server_is_gone(settings, tiny_models):
    endpoint = ensure_server(tiny_models.spec(), settings)
    remove_server(server_key(str(tiny_models.base)), settings)
    assert not client.is_healthy(endpoint.base_url)
    assert all_servers(settings) == []


def test_without_a_supervisor_the_error_says_how_to_start_it(data_dir, tiny_models, monkeypatch):
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(data_dir))
    monkeypatch.setenv("TUNEWAY_MODEL_SERVER_BACKEND", "embedded")
    with pytest.raises(UnavailableError, match="tuneway up"):
        ensure_server(tiny_models.spec(), load_settings())
