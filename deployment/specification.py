"""What a model server is to serve, and where it answers."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import Field

from contracts.enums import ServerBackend
from contracts.errors import InvalidRequestError
from contracts.record import Record

ADAPTER_FILE = "adapter_config.json"
SERVED_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$"


ENGINE_SETTINGS = ("card_share", "max_model_length", "max_num_seqs", "dtype", "extra_arguments", "backend")


class LoraAdapter(Record):
    """A LoRA adapter under an immutable name.

    Engines cache by name and path: another content under either would be answered from the old cache. So the name
    carries the content's hash, and the folder is never written again.
    """

    name: str = Field(pattern=SERVED_NAME_PATTERN)
    path: str
    rank: int = Field(ge=1)


class ServerSpec(Record):
    """A base model and the adapters beside it."""

    model_path: str
    """Folder of the whole model."""
    served_model_name: str = Field(pattern=SERVED_NAME_PATTERN)
    """Name under which the whole model, without an adapter, answers."""
    adapters: list[LoraAdapter] = []
    gpu_ids: list[int] = []
    """Cards for this server; none on a machine without any."""
    card_share: float | None = Field(default=None, gt=0, lt=1)
    """Of the cards' memory, that the server may take; None leaves it to the server: vLLM takes nine tenths."""
    max_model_length: int | None = Field(default=None, ge=16)
    """Tokens of prompt and answer together; None takes the model's own, at most 4,096."""
    max_num_seqs: int | None = Field(default=None, ge=1)
    """Requests computed at a time; None takes 64."""
    dtype: str | None = None
    """None: on a CPU that of the files; on GPUs 16 bits for files of 32."""
    extra_arguments: dict[str, str | int | float | bool] = {}
    """For `vllm serve`."""
    backend: ServerBackend | None = None
    """None: that of the installation."""
    allow_inexact_int8: bool = False
    """Also on a CPU that cannot give an INT8 model's own numbers."""

    @property
    def engine_settings(self) -> dict[str, Any]:
        """What was asked for of how it is served; what was left to the server is not in it."""
        given = self.model_dump(include={*ENGINE_SETTINGS})
        return {name: value for name, value in given.items() if value}

    @property
    def model_names(self) -> list[str]:
        """Every name that answers."""
        return [self.served_model_name, *(adapter.name for adapter in self.adapters)]

    def with_adapters(self, adapters: list[LoraAdapter]) -> "ServerSpec":
        """The same server with those adapters added. Raises InvalidRequestError for a name with two contents."""
        known = {adapter.name: adapter for adapter in self.adapters}
        for adapter in adapters:
            if adapter.name == self.served_model_name or known.get(adapter.name, adapter).path != adapter.path:
                raise InvalidRequestError(
                    f"The adapter name {adapter.name} already stands for something else on this server",
                    value=adapter.path,
                    allowed="a name for each content, for good",
                    next_step="name it by adapter_name(), which carries the content's hash",
                )
            known[adapter.name] = adapter
        return self.model_copy(update={"adapters": list(known.values())})


class ServerEndpoint(Record):
    """A server that answers."""

    base_url: str
    """OpenAI base URL: ends in /v1."""
    model_names: list[str]
    backend: ServerBackend
    pid: int | None = None
    """Of the server's first process, where the caller has started it."""


def lora_adapter(name: str, path: Path) -> LoraAdapter:
    """The adapter in a PEFT folder. Raises InvalidRequestError where there is none."""
    return LoraAdapter(name=name, path=str(path), rank=adapter_rank(path))


def is_adapter(path: Path) -> bool:
    """The folder holds an adapter, not a whole model."""
    return (path / ADAPTER_FILE).is_file()


def adapter_rank(path: Path) -> int:
    """Highest rank of the adapter's matrices. Raises InvalidRequestError where there is no adapter."""
    try:
        config: dict[str, Any] = json.loads((path / ADAPTER_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidRequestError(
            "There is no LoRA adapter in the folder",
            value=path,
            allowed="a folder that PEFT saved, with adapter_config.json",
            next_step="give the output folder of a finished lora or qlora job",
        ) from error
    return max([int(config["r"]), *(int(rank) for rank in (config.get("rank_pattern") or {}).values())])


def served_name(model_name: str, version: str, content_hash: str) -> str:
    """The name under which a model version is served: it never stands for another content."""
    # a base model may be known by its folder
    model_name = Path(model_name).name if model_name.startswith("/") else model_name
    return f"{model_name}-{'' if not version[:1].isdigit() else 'v'}{version}-{content_hash[:8]}"


def server_key(model_path: str) -> str:
    """Name of the server of a whole model, as a file name and a program name."""
    folder = Path(model_path)
    slug = re.sub(r"[^a-z0-9-]+", "-", folder.name.lower()).strip("-")[:40] or "model"
    return f"{slug}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
