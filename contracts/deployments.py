"""A deployment of a model version: its settings, its states, and its history."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from contracts.enums import Arm, DeploymentState, ServerBackend
from contracts.record import JsonObject, Record

VLLM_ARGUMENTS = (
    "block-size",
    "enable-auto-tool-choice",
    "enable-chunked-prefill",
    "enable-expert-parallel",
    "enable-prefix-caching",
    "kv-cache-dtype",
    "long-prefill-token-threshold",
    "max-logprobs",
    "max-num-batched-tokens",
    "no-enable-chunked-prefill",
    "no-enable-prefix-caching",
    "reasoning-parser",
    "scheduling-policy",
    "seed",
    "tool-call-parser",
)
"""What a deployment may add to `vllm serve`. Nothing that changes which model answers, or by which template it is asked."""

SETTINGS_OF_A_PROCESS = (
    "max_model_length",
    "gpu_share",
    "max_num_seqs",
    "dtype",
    "extra_arguments",
    "allow_inexact_int8",
)


class DeploymentConfig(Record):
    """How a model version is served."""

    backend: ServerBackend | None = None
    """None: that of the installation (TUNEWAY_MODEL_SERVER_BACKEND)."""
    base_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+/v1$")
    """Of a server that runs already; with backend `url` only."""
    served_model_name: str | None = Field(default=None, min_length=1, max_length=255)
    """Name under which the whole model answers at `base_url`."""
    max_model_length: int | None = Field(default=None, ge=16)
    """Tokens of prompt and answer together. None: the model's own, at most 4,096."""
    gpus: int = Field(default=1, ge=1, le=8)
    """Cards of the server; they divide the model among them."""
    gpu_share: float | None = Field(default=None, gt=0, lt=1)
    """Of the cards' memory. None: vLLM's own nine tenths."""
    max_num_seqs: int | None = Field(default=None, ge=1, le=4096)
    """Requests computed at a time. None: 64."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """None: on a CPU that of the files; on GPUs 16 bits for files of 32."""
    extra_arguments: dict[str, str | int | float | bool] = {}
    """For `vllm serve`: name without dashes, and its value; true for a switch."""
    allow_inexact_int8: bool = False
    """Try an INT8 model on a CPU without VNNI, whose sums overflow; the parity certificate still judges it."""

    @field_validator("extra_arguments")
    @classmethod
    def _known(cls, arguments: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
        unknown = sorted(set(arguments) - set(VLLM_ARGUMENTS))
        if unknown:
            raise ValueError(f"not allowed: {', '.join(unknown)}; allowed: {', '.join(VLLM_ARGUMENTS)}")
        return arguments

    @model_validator(mode="after")
    def _fits_the_backend(self) -> Self:
        is_url = self.backend is ServerBackend.URL
        if is_url != (self.base_url is not None) or is_url != (self.served_model_name is not None):
            raise ValueError("base_url and served_model_name go with backend url, and all three together")
        given = [name for name in SETTINGS_OF_A_PROCESS if getattr(self, name)]
        if is_url and given:
            raise ValueError(f"a server that runs already is not set up from here: leave out {', '.join(given)}")
        return self


class DeploymentTransition(Record):
    """One step of a deployment."""

    from_state: DeploymentState | None
    """None: it was planned."""
    to_state: DeploymentState
    at: datetime
    details: JsonObject
    """What the step found: address and engine, or the failure."""


class ModelDeployment(Record):
    """One row of model_deployments."""

    deployment_id: int
    model_id: int
    arm: Arm
    state: DeploymentState
    config: DeploymentConfig
    server_key: str
    """The server; deployments of one base model share it."""
    served_model_name: str
    base_url: str | None
    """Where it answers; None before it did."""
    backend: ServerBackend | None
    failure: JsonObject | None
    """The error's record, where it failed."""
    planned_at: datetime
    changed_at: datetime


class DeploymentHistory(Record):
    """A deployment and how it came to where it is."""

    deployment: ModelDeployment
    transitions: list[DeploymentTransition]
    """Oldest first."""


class PlannedArm(Record):
    """One version of a deployment that has not been started."""

    arm: Arm
    model_name: str
    version: str
    served_model_name: str
    server: str
    """The server's name at the supervisor, or the URL of one that runs already."""
    server_runs: bool
    state: DeploymentState | None
    """Of its deployment now; None: there is none, or it is over."""
    config: DeploymentConfig
    has_certificate: bool
    """A certificate of these weights passed before; it counts again where the engine is the same."""


class DeploymentPlan(Record):
    """Both arms."""

    arms: list[PlannedArm]
    cards: int
    """Cards that servers would lease beside those they have; 0 on a machine without any."""
