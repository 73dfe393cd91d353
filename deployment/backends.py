"""The programs that can serve a model, and how each is started."""

import json
import logging
import os
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.enums import ServerBackend
from contracts.errors import InvalidRequestError, UnavailableError
from deployment.specification import ServerSpec
from settings import Settings

log = logging.getLogger(__name__)

DEFAULT_MAX_MODEL_LENGTH = 4096
# Ranks that vLLM compiles its kernels for.
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
MIN_CPU_CACHE_BYTES = 64 * 1024**2
CPU_CACHE_SEQUENCES = 8
MAX_SEQUENCES = 64
# Two arms are compared at a time; earlier versions wait in memory and come back without reading files.
LOADED_ADAPTERS = 2
KEPT_ADAPTERS = 8
CPU_INFO = Path("/proc/cpuinfo")
NO_MEDIA_DOMAIN = "none.invalid"
"""The one host from which a question's pictures might be fetched: none."""
NEVER_ARGUMENTS = (
    "--trust-remote-code", "--allowed-media-domains", "--allowed-local-media-path", "--load-format", "--hf-config-path",
    "--logits-processors", "--middleware", "--worker-cls", "--worker-extension-cls", "--tool-parser-plugin",
    "--reasoning-parser-plugin",
)  # fmt: skip
"""Of vLLM: each lets code or addresses in that came with a model or a question."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a server process is started."""

    arguments: list[str]
    environment: dict[str, str]
    """The whole environment, not an addition."""


class ModelServer(ABC):
    """A program that answers the OpenAI protocol for a base model and LoRA adapters by name."""

    backend: ServerBackend

    @abstractmethod
    def command(self, spec: ServerSpec, settings: Settings, port: int) -> Command:
        """How to start it. The process serves the adapters of `spec`, and more by POST /v1/load_lora_adapter."""

    @abstractmethod
    def needs_restart(self, before: ServerSpec, after: ServerSpec) -> bool:
        """A running server cannot take the added adapters as it was started."""


class VllmServer(ModelServer):
    """vLLM, in its own environment."""

    backend = ServerBackend.VLLM

    def command(self, spec: ServerSpec, settings: Settings, port: int) -> Command:
        """`vllm serve`, on the cards given or on the CPU."""
        config = model_config(spec.model_path)
        if not spec.gpu_ids:
            _require_cpu_kernels(spec, config, settings)
        length = _max_model_length(spec, config)
        arguments = [
            *(str(settings.vllm_python), "-m", "vllm.entrypoints.cli.main", "serve", spec.model_path),
            *("--served-model-name", spec.served_model_name),
            *("--host", settings.host, "--port", str(port)),
            *("--max-model-len", str(length)),
            *("--max-num-seqs", str(spec.max_num_seqs or MAX_SEQUENCES)),
            "--disable-uvicorn-access-log",
            # an empty list would allow every address; .invalid names no host anywhere (RFC 2606)
            *("--allowed-media-domains", NO_MEDIA_DOMAIN),
        ]
        # a compressed model is nobody's base, and vLLM's CPU kernels for few bits do not start with room for adapters
        if spec.adapters or "quantization_config" not in config:
            arguments += [
                "--enable-lora",
                *("--max-loras", str(LOADED_ADAPTERS), "--max-cpu-loras", str(KEPT_ADAPTERS)),
                *("--max-lora-rank", str(_vllm_rank(spec))),
            ]
        if spec.adapters:
            arguments += ["--lora-modules", *(f"{adapter.name}={adapter.path}" for adapter in spec.adapters)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
            "VLLM_CACHE_ROOT": str(settings.vllm_cache_dir or settings.cache_dir / "vllm"),
        }
        if spec.gpu_ids:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, spec.gpu_ids))
            if spec.card_share is not None:
                arguments += ["--gpu-memory-utilization", f"{spec.card_share:.3f}"]
            if len(spec.gpu_ids) > 1:
                arguments += ["--tensor-parallel-size", str(len(spec.gpu_ids))]
        else:
            # Two processes instead of three, no core pinning, no compilation: 13 s to start instead of 20, and on
            # two shared cores more than twice the requests a second.
            arguments += ["--distributed-executor-backend", "uni", "--enforce-eager"]
            arguments += ["--kv-cache-memory-bytes", str(_cpu_cache_bytes(config, length))]
            if spec.dtype is None and _dtype(config) == "float32":
                arguments += ["--dtype", "float32"]  # else lowered to 16 bits, which is not what was trained
            environment |= {
                "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
                "OMP_NUM_THREADS": "1",
                "VLLM_CPU_OMP_THREADS_BIND": "nobind",
                "VLLM_CPU_CI_ENV": "1",
                # else the first question for log probabilities compiles a helper: two minutes on a busy machine, in
                # which the engine answers nobody
                "TORCHDYNAMO_DISABLE": "1",
            }
        if spec.dtype is not None:
            arguments += ["--dtype", spec.dtype]
        for name, value in sorted(spec.extra_arguments.items()):
            if value is not False:
                arguments += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return Command([*arguments, *_site_arguments(settings)], environment)

    def needs_restart(self, before: ServerSpec, after: ServerSpec) -> bool:
        """The highest rank is fixed at start."""
        return _vllm_rank(after) > _vllm_rank(before)


class EmbeddedServer(ModelServer):
    """llama.cpp inside a small process of ours: starts in a second, takes Qwen3 models."""

    backend = ServerBackend.EMBEDDED

    def command(self, spec: ServerSpec, settings: Settings, port: int) -> Command:
        """`python -m deployment.embedded_server`."""
        arguments = [
            *(sys.executable, "-m", "deployment.embedded_server", "--model", spec.model_path),
            *("--served-model-name", spec.served_model_name),
            *("--host", settings.host, "--port", str(port)),
            *("--max-model-length", str(_max_model_length(spec, model_config(spec.model_path)))),
            *("--cache-dir", str(settings.cache_dir / "gguf")),
        ]
        for adapter in spec.adapters:
            arguments += ["--adapter", f"{adapter.name}={adapter.path}"]
        return Command(arguments, {**os.environ, "PYTHONPATH": str(settings.repository_root), "OMP_NUM_THREADS": "1"})

    def needs_restart(self, before: ServerSpec, after: ServerSpec) -> bool:
        """Never: it opens its engine anew by itself."""
        return False


SERVERS: dict[ServerBackend, ModelServer] = {server.backend: server for server in (VllmServer(), EmbeddedServer())}


def choose_server(settings: Settings, asked: ServerBackend | None = None) -> ModelServer:
    """The backend asked for, else that of the settings.

    Raises UnavailableError when vLLM is asked for by name and is not installed.
    """
    vllm_is_there = settings.vllm_python.is_file()
    wanted = settings.model_server_backend if asked is None else asked.value
    if wanted == "embedded":
        return SERVERS[ServerBackend.EMBEDDED]
    if vllm_is_there:
        return SERVERS[ServerBackend.VLLM]
    if wanted == "vllm":
        raise UnavailableError(
            "vLLM's environment does not exist",
            value=settings.vllm_python,
            allowed="the interpreter of an environment with vLLM (TUNEWAY_VLLM_PYTHON)",
            next_step="run `make setup`, or set TUNEWAY_MODEL_SERVER_BACKEND=embedded",
        )
    log.warning(
        "vLLM is not installed (%s does not exist): the light embedded server (llama.cpp) serves instead",
        settings.vllm_python,
    )
    return SERVERS[ServerBackend.EMBEDDED]


def gpu_count() -> int:
    """NVIDIA cards that the driver shows."""
    try:
        import pynvml
    except ImportError:
        return 0
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()


def model_config(model_path: str) -> dict[str, Any]:
    """The model's config.json. Raises InvalidRequestError where there is none."""
    path = Path(model_path) / "config.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidRequestError(
            "There is no model in the folder",
            value=model_path,
            allowed="a folder with config.json, weights and tokenizer, as transformers saves it",
            next_step="look at the model's folder",
        ) from error
    assert isinstance(value, dict)
    return value


def _site_arguments(settings: Settings) -> list[str]:
    """The installation's own arguments. Raises InvalidRequestError for one that opens what is closed here."""
    for argument in settings.model_server_args:
        name = argument.partition("=")[0].replace("_", "-")
        if name in NEVER_ARGUMENTS:
            raise InvalidRequestError(
                "The model server is never started with this argument",
                value=argument,
                allowed="arguments of `vllm serve` that let in no code and no addresses",
                next_step="take it out of TUNEWAY_MODEL_SERVER_ARGS",
            )
    return settings.model_server_args


def require_exact_int8(model: str, settings: Settings) -> None:
    """Raises InvalidRequestError where vLLM's INT8 on this CPU gives other numbers than the model has."""
    if cpu_has_vnni() or settings.allow_inexact_int8:
        return
    raise InvalidRequestError(
        "vLLM cannot give an INT8 model's own answers on this processor",
        value=f"{model}: without VNNI its sums of products overflow at 16 bits",
        allowed="a GPU, or a CPU with VNNI (avx512_vnni, avx_vnni or amx_int8)",
        next_step="serve it on such a machine; to measure its speed all the same, deploy with --allow-inexact-int8 "
        "or set TUNEWAY_ALLOW_INEXACT_INT8=true",
    )


def _require_cpu_kernels(spec: ServerSpec, config: dict[str, Any], settings: Settings) -> None:
    """The CPU build of vLLM multiplies packed four-bit weights with AVX-512 only; without it, it dies at a question.

    Raises InvalidRequestError, for eight bits as `require_exact_int8` does.
    """
    model_path = spec.model_path
    groups = (config.get("quantization_config") or {}).get("config_groups") or {}
    bits = {(group.get("weights") or {}).get("num_bits") for group in groups.values()}
    kinds = {(group.get("weights") or {}).get("type") for group in groups.values()}
    if 8 in bits and "int" in kinds and not spec.allow_inexact_int8:
        require_exact_int8(model_path, settings)
    if 4 not in bits or cpu_has_avx512():
        return
    raise InvalidRequestError(
        "vLLM cannot serve four-bit weights on this processor",
        value=model_path,
        allowed="a GPU, or a CPU with AVX-512",
        next_step="serve it on a machine with a GPU, or run the DAG compress_model with another `compression`",
    )


def cpu_has_avx512() -> bool:
    """As vLLM asks it before it chooses among its libraries of kernels; true on other kinds of processors."""
    return _cpu_has({"avx512f"})


def cpu_has_vnni() -> bool:
    """Products of eight bits are summed in 32 bits; true on other kinds of processors."""
    return _cpu_has({"avx512_vnni", "avx_vnni", "amx_int8"})


def _cpu_has(any_of: set[str]) -> bool:
    try:
        flags = CPU_INFO.read_text(encoding="utf-8").partition("\nflags")[2].partition("\n")[0].split()
    except OSError:
        return True
    return not flags or bool(any_of & set(flags))


def max_model_length(spec: ServerSpec) -> int:
    """Tokens of prompt and answer together that a server of ours would take."""
    return _max_model_length(spec, model_config(spec.model_path))


def _dtype(config: dict[str, Any]) -> str | None:
    return config.get("dtype") or config.get("torch_dtype")


def _max_model_length(spec: ServerSpec, config: dict[str, Any]) -> int:
    longest = int(config.get("max_position_embeddings", DEFAULT_MAX_MODEL_LENGTH))
    if spec.max_model_length is not None:
        return min(spec.max_model_length, longest)
    return min(DEFAULT_MAX_MODEL_LENGTH, longest)


def _vllm_rank(spec: ServerSpec) -> int:
    highest = max((adapter.rank for adapter in spec.adapters), default=16)
    for rank in VLLM_RANKS[1:]:
        if highest <= rank:
            return rank
    raise InvalidRequestError(
        "The adapter's rank is higher than vLLM serves",
        value=highest,
        allowed=f"at most {VLLM_RANKS[-1]}",
        next_step="merge the adapter into its base model, or train with a lower rank",
    )


def _cpu_cache_bytes(config: dict[str, Any], length: int) -> int:
    heads = int(config.get("num_key_value_heads") or config["num_attention_heads"])
    head_dim = int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
    bytes_per_value = 4 if _dtype(config) == "float32" else 2
    per_token = 2 * int(config["num_hidden_layers"]) * heads * head_dim * bytes_per_value
    return max(MIN_CPU_CACHE_BYTES, CPU_CACHE_SEQUENCES * length * per_token)
