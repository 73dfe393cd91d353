"""Starting, asking and stopping model servers."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest

from contracts.enums import ServerBackend
from contracts.errors import InvalidRequestError, JobFailedError, UnavailableError
from deployment import client
from deployment.backends import SERVERS, choose_server
from deployment.ephemeral import running_server
from deployment.specification import LoraAdapter, ServerSpec, lora_adapter, served_name, server_key
from settings import load_settings
from tests.model_fixtures import ADAPTER_NAME, BASE_NAME, settings_for


def adapter(name: str, rank: int = 8, path: str = "/models/x") -> LoraAdapter:
    return LoraAdapter(name=name, path=path, rank=rank)


def model_folder(tmp_path: Path, **config: object) -> Path:
    tmp_path.mkdir(exist_ok=True)
    values = {
        "model_type": "qwen3",
        "max_position_embeddings": 40960,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "num_attention_heads": 4,
        "head_dim": 32,
        **config,
    }
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return tmp_path


def options_of(command: list[str]) -> dict[str, str]:
    return {name: value for name, value in itertools.pairwise(command) if name.startswith("--")}


def test_without_vllm_the_embedded_server_is_chosen_and_the_log_says_so(tmp_path, caplog):
    settings = settings_for("auto").model_copy(update={"vllm_python": tmp_path / "none"})
    assert choose_server(settings).backend is ServerBackend.EMBEDDED
    assert "vLLM is not installed" in caplog.text


def test_vllm_is_chosen_where_its_environment_is(tmp_path):
    settings = settings_for("auto").model_copy(update={"vllm_python": Path(sys.executable)})
    assert choose_server(settings).backend is ServerBackend.VLLM


def test_vllm_asked_for_by_name_and_absent_is_an_error_that_says_what_to_do(tmp_path):
    settings = settings_for("vllm").model_copy(update={"vllm_python": tmp_path / "none"})
    with pytest.raises(UnavailableError, match="TUNEWAY_MODEL_SERVER_BACKEND=embedded"):
        choose_server(settings)


def test_the_settings_of_a_deployment_become_vllms_arguments(tmp_path):
    spec = ServerSpec(
        model_path=str(model_folder(tmp_path, dtype="float32")),
        served_model_name="m",
        max_model_length=512,
        max_num_seqs=8,
        dtype="bfloat16",
        extra_arguments={"seed": 1, "no-enable-prefix-caching": True, "enable-chunked-prefill": False},
    )
    arguments = SERVERS[ServerBackend.VLLM].command(spec, load_settings(), 24001).arguments
    options = options_of(arguments)
    assert (options["--max-model-len"], options["--max-num-seqs"], options["--seed"]) == ("512", "8", "1")
    assert arguments.count("--dtype") == 1
    assert options["--dtype"] == "bfloat16"
    assert "--no-enable-prefix-caching" in arguments
    assert "--enable-chunked-prefill" not in arguments


def test_vllm_fetches_no_media_and_runs_no_code_of_a_model(tmp_path):
    spec = ServerSpec(model_path=str(model_folder(tmp_path)), served_model_name="m")
    command = SERVERS[ServerBackend.VLLM].command(spec, load_settings(), 24001)
    assert options_of(command.arguments)["--allowed-media-domains"] == "none.invalid"
    assert command.environment["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
    assert "--trust-remote-code" not in command.arguments
    for argument in ("--trust-remote-code", "--trust_remote_code=true", "--middleware", "--load-format=pt"):
        site = load_settings().model_copy(update={"model_server_args": [argument]})
        with pytest.raises(InvalidRequestError, match="never started with this argument"):
            SERVERS[ServerBackend.VLLM].command(spec, site, 24001)


@pytest.mark.parametrize(
    ("flags", "asked", "is_refused"),
    [
        ("avx2 fma", {}, True),
        ("avx2 avx512f avx512_vnni", {}, False),
        ("avx2 fma", {"spec": True}, False),
        ("avx2 fma", {"settings": True}, False),
    ],
)
def test_int8_on_a_processor_that_sums_in_16_bits_is_refused_unless_asked_for(
    tmp_path, monkeypatch, flags, asked, is_refused
):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n", encoding="utf-8")
    monkeypatch.setattr("deployment.backends.CPU_INFO", tmp_path / "cpuinfo")
    scheme = {"config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "int"}}}}
    folder = model_folder(tmp_path / "model", quantization_config=scheme)
    spec = ServerSpec(model_path=str(folder), served_model_name="m", allow_inexact_int8="spec" in asked)
    settings = load_settings().model_copy(update={"allow_inexact_int8": "settings" in asked})
    expected = pytest.raises(InvalidRequestError, match="overflow at 16 bits") if is_refused else nullcontext()
    with expected:
        SERVERS[ServerBackend.VLLM].command(spec, settings, 24001)
    # cards have their own kernels
    SERVERS[ServerBackend.VLLM].command(spec.model_copy(update={"gpu_ids": [0]}), settings, 24001)


def test_vllm_is_asked_about_an_adapter_by_its_newest_metrics():
    metrics = "\n".join(
        [
            'vllm:lora_requests_info{max_lora="2",running_lora_adapters="one,two",waiting_lora_adapters=""} 1.7e+09',
            'vllm:lora_requests_info{max_lora="2",running_lora_adapters="two",waiting_lora_adapters=""} 1.8e+09',
            'vllm:num_requests_running{model_name="base"} 2.0',
            'vllm:num_requests_waiting{model_name="base"} 1.0',
        ]
    )
    assert client._in_flight(metrics, "one", is_adapter=True) == 0
    assert client._in_flight(metrics, "two", is_adapter=True) == 1
    assert client._in_flight(metrics, "base", is_adapter=False) == 3
    assert client._in_flight("", "base", is_adapter=False) is None


def test_a_model_of_single_precision_is_not_lowered_on_a_cpu(tmp_path):
    spec = ServerSpec(model_path=str(model_folder(tmp_path, dtype="float32")), served_model_name="m")
    command = SERVERS[ServerBackend.VLLM].command(spec, load_settings(), 24001)
    assert options_of(command.arguments)["--dtype"] == "float32"
    assert command.environment["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert "PYTHONPATH" not in command.environment


def test_on_cards_vllm_gets_them_and_no_cpu_options(tmp_path):
    spec = ServerSpec(model_path=str(model_folder(tmp_path, dtype="float32")), served_model_name="m", gpu_ids=[0, 1])
    command = SERVERS[ServerBackend.VLLM].command(spec, load_settings(), 24001)
    assert command.environment["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert options_of(command.arguments)["--tensor-parallel-size"] == "2"
    assert "--enforce-eager" not in command.arguments
    assert "--dtype" not in command.arguments


@pytest.mark.parametrize(("rank", "expected"), [(4, "16"), (16, "16"), (17, "32"), (200, "256")])
def test_the_highest_rank_is_one_that_vllm_knows(tmp_path, rank, expected):
    spec = ServerSpec(model_path=str(model_folder(tmp_path)), served_model_name="m", adapters=[adapter("a", rank)])
    command = SERVERS[ServerBackend.VLLM].command(spec, load_settings(), 24001)
    assert options_of(command.arguments)["--max-lora-rank"] == expected


def test_an_adapter_of_too_high_a_rank_is_refused_before_anything_starts(tmp_path):
    spec = ServerSpec(model_path=str(model_folder(tmp_path)), served_model_name="m", adapters=[adapter("a", 1000)])
    with pytest.raises(InvalidRequestError, match="at most 512"):
        SERVERS[ServerBackend.VLLM].command(spec, load_settings(), 24001)


def test_a_name_never_stands_for_two_contents():
    spec = ServerSpec(model_path="/m", served_model_name="m", adapters=[adapter("a", path="/one")])
    assert spec.with_adapters([adapter("a", path="/one")]) == spec
    with pytest.raises(InvalidRequestError, match="already stands for something else"):
        spec.with_adapters([adapter("a", path="/two")])


def test_served_names_carry_version_and_content():
    assert served_name("rules", "3", "abcdef0123456789") == "rules-v3-abcdef01"
    assert served_name("demo-base", "base", "abcdef0123456789") == "demo-base-base-abcdef01"
    assert served_name("/models/Qwen3-32B", "base", "abcdef0123456789") == "Qwen3-32B-base-abcdef01"


def test_models_of_the_same_folder_name_have_servers_of_their_own():
    assert server_key("/one/demo") != server_key("/two/demo")
    assert server_key("/one/Qwen3 32B").startswith("qwen3-32b-")


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(InvalidRequestError, match="no LoRA adapter"):
        lora_adapter("a", tmp_path)


def test_a_folder_without_a_model_is_refused_before_anything_starts(tmp_path):
    with (
        pytest.raises(InvalidRequestError, match="no model in the folder"),
        running_server(
            ServerSpec(model_path=str(tmp_path), served_model_name="m"), settings_for("embedded"), tmp_path / "log"
        ),
    ):
        pass


@pytest.mark.slow
def test_a_server_that_does_not_come_up_shows_the_end_of_its_log(tmp_path):
    spec = ServerSpec(model_path=str(model_folder(tmp_path, model_type="llama")), served_model_name="m")
    with (
        pytest.raises(JobFailedError, match="ended with code 1") as error,
        running_server(spec, settings_for("embedded"), tmp_path / "log"),
    ):
        pass
    assert "cannot serve a model of this architecture" in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["embedded", pytest.param("vllm", marks=pytest.mark.deep)])
class TestRunningServer:
    """The same promises of both backends."""

    def endpoint(self, request, backend):
        return request.getfixturevalue(f"{backend}_endpoint")

    def test_it_lists_the_base_and_its_adapters(self, request, backend):
        endpoint = self.endpoint(request, backend)
        assert endpoint.backend is ServerBackend(backend)
        assert {BASE_NAME, ADAPTER_NAME} <= set(client.model_names(endpoint.base_url))

    def test_an_unknown_model_is_not_found(self, request, backend):
        endpoint = self.endpoint(request, backend)
        body = {"model": "nobody", "messages": [{"role": "user", "content": "?"}]}
        assert httpx.post(f"{endpoint.base_url}/chat/completions", json=body).status_code == 404

    def test_a_folder_without_an_adapter_does_not_load_and_the_server_lives_on(self, request, backend, tmp_path):
        endpoint = self.endpoint(request, backend)
        with pytest.raises(JobFailedError, match="did not load the adapter"):
            client.load_adapter(endpoint.base_url, adapter("broken", path=str(tmp_path)))
        assert client.ask(endpoint.base_url, BASE_NAME, "하나", 4)
        assert "broken" not in client.model_names(endpoint.base_url)

    def test_a_stream_has_the_same_text_as_the_whole_answer(self, request, backend):
        from openai import OpenAI

        endpoint = self.endpoint(request, backend)
        openai = OpenAI(base_url=endpoint.base_url, api_key="none")
        stream = openai.chat.completions.create(
            model=ADAPTER_NAME,
            messages=[{"role": "user", "content": "점검은 언제 합니까?"}],
            max_tokens=12,
            temperature=0,
            stream=True,
        )
        pieces = list(stream)
        assert {piece.model for piece in pieces} == {ADAPTER_NAME}
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert text == client.ask(endpoint.base_url, ADAPTER_NAME, "점검은 언제 합니까?", 12)
        assert text

    def test_the_answer_names_the_model_that_was_asked(self, request, backend):
        endpoint = self.endpoint(request, backend)
        body = {"model": ADAPTER_NAME, "messages": [{"role": "user", "content": "하나"}], "max_tokens": 2}
        assert (
            httpx.post(f"{endpoint.base_url}/chat/completions", json=body, timeout=60).json()["model"] == ADAPTER_NAME
        )


@pytest.mark.slow
def test_a_server_is_gone_after_its_block_even_after_an_error(tiny_models, tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        running_server(tiny_models.spec(), settings_for("embedded"), tmp_path / "log") as endpoint,
    ):
        port = httpx.URL(endpoint.base_url).port
        raise ZeroDivisionError
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
def test_a_server_ends_when_its_owner_is_killed(tiny_models, tmp_path):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from deployment.ephemeral import running_server\n"
        "from deployment.specification import ServerSpec\n"
        "from tests.model_fixtures import settings_for\n"
        f"spec = ServerSpec(model_path={str(tiny_models.base)!r}, served_model_name='m')\n"
        f"with running_server(spec, settings_for('embedded'), Path({str(tmp_path / 'log')!r})) as endpoint:\n"
        "    print(endpoint.base_url, flush=True); time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=_environment())
    assert owner.stdout is not None
    base_url = owner.stdout.readline().strip()
    assert client.is_healthy(base_url)
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 60
    while client.is_healthy(base_url) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not client.is_healthy(base_url)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(load_settings().repository_root)}
