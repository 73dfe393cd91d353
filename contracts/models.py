"""Registered model versions and their deployment."""

from functools import cached_property

from pydantic import Field

from contracts.deployments import DeploymentConfig
from contracts.enums import Arm, ModelFormat, ModelStatus, ServerBackend
from contracts.record import Record
from contracts.training import NAME_PATTERN


class RegisterRequest(Record):
    """Register a fine-tuned model that passed the gate."""

    job_id: int = Field(ge=1)
    evaluation_id: int = Field(ge=1)
    model_name: str = Field(pattern=NAME_PATTERN)
    accuracy_bar: float = Field(default=0.90, gt=0, lt=1)
    description: str = Field(default="", max_length=2000)
    tags: list[str] = []


class ModelVersion(Record):
    """One row of model_registry."""

    model_id: int
    model_name: str
    version: str
    base_model: str
    base_model_path: str
    finetuning_job_id: int | None
    model_path: str
    """Immutable folder; its name carries the content hash."""
    model_format: ModelFormat
    model_size_gb: float
    status: ModelStatus
    mlflow_model_uri: str | None
    content_hash: str


class DeployRequest(Record):
    """Put a model version into service beside the present one."""

    model_id: int = Field(ge=1)
    config: DeploymentConfig = DeploymentConfig()


class UndeployRequest(Record):
    """Take a model version out of service."""

    model_id: int = Field(ge=1)
    actor: str = Field(default="deploy", min_length=1, max_length=255)
    drain_seconds: float = Field(default=120.0, ge=0, le=3600)
    """Answers that have begun may take so long to end."""


class ArmEndpoint(Record):
    """A model version that answers."""

    arm: Arm
    model_id: int
    model_name: str
    version: str
    served_model_name: str
    base_url: str
    backend: ServerBackend
    replicas: list[str] = []
    """Base URLs of further servers that answer for the same version under the same name."""

    @cached_property
    def base_urls(self) -> tuple[str, ...]:
        """Every server of the version."""
        return (self.base_url, *self.replicas)


class Deployment(Record):
    """Both arms up and checked."""

    arms: list[ArmEndpoint]
    endpoint: str
    """URL of the chat completions door through which users ask."""
