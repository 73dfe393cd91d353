"""Stage deploy: the new model version answers beside the present one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import Arm, LeaseKind, ModelFormat
from contracts.errors import CapacityError, ConflictError, NotFoundError, TunewayError
from contracts.models import ArmEndpoint, Deployment, ModelVersion
from stages.launching import cards_in_use, host_name, slots
from storage.files import sha256_of_file

if TYPE_CHECKING:
    from contracts.models import DeployRequest
    from deployment.specification import ServerEndpoint, ServerSpec
    from stages.services import Services

BYTES_PER_GB = 1_000_000_000
BASE_VERSION_PREFIX = "base"
HEALTH_QUESTION = "안녕하세요. 무엇을 도와주실 수 있습니까?"
HEALTH_TOKENS = 16


def deploy(request: DeployRequest, services: Services) -> Deployment:
    """Bring up arm B, the version of the request, and arm A, the present production version or else the base model.

    Each arm answers a question before it is recorded as deployed. Safe to repeat, and after a kill at any point: a
    server that runs already is used as it is. Raises ConflictError for a base model, JobFailedError when a server
    does not come up or an arm does not answer.
    """
    from deployment.client import ask

    arms = _arms(request, services)
    endpoints = _serve(arms, services)
    deployed = []
    for arm, version in arms.items():
        endpoint, name = endpoints[version.model_id]
        ask(endpoint.base_url, name, HEALTH_QUESTION, max_tokens=HEALTH_TOKENS)
        deployed.append(
            ArmEndpoint(
                arm=arm,
                model_id=version.model_id,
                model_name=version.model_name,
                version=version.version,
                served_model_name=name,
                base_url=endpoint.base_url,
                backend=endpoint.backend,
            )
        )
    with services.unit_of_work() as uow:
        for arm_endpoint in deployed:
            if uow.models.deployment(arm_endpoint.model_id) != arm_endpoint:
                uow.models.set_deployment(arm_endpoint.model_id, arm_endpoint)
                uow.audit.append(
                    "deploy", "model.deployed", f"model/{arm_endpoint.model_id}", arm_endpoint.model_dump(mode="json")
                )
    return Deployment(arms=deployed, endpoint=f"{services.settings.resolved_serving_url}/v1/chat/completions")


def _arms(request: DeployRequest, services: Services) -> dict[Arm, ModelVersion]:
    with services.unit_of_work() as uow:
        new = uow.models.get(request.model_id)
        production = uow.models.production(new.model_name)
    if new.version.startswith(BASE_VERSION_PREFIX):
        raise ConflictError(
            "A base model is not deployed by itself",
            value=f"model {new.model_id}, {new.model_name} {new.version}",
            allowed="a fine-tuned model version",
            next_step="deploy a version made by a fine-tuning job; the base model becomes its arm A",
        )
    if production is not None and production.model_id != new.model_id:
        return {Arm.A: production, Arm.B: new}
    return {Arm.A: _ensure_base(new, services), Arm.B: new}


def _ensure_base(version: ModelVersion, services: Services) -> ModelVersion:
    folder = Path(version.base_model_path)
    if not folder.is_dir():
        raise NotFoundError(
            "The base model's folder is not there any more",
            value=folder,
            next_step="put the model back where it was when it was fine-tuned",
        )
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with services.unit_of_work() as uow:
        return uow.models.ensure_base(
            version.base_model, version.base_model_path, size_bytes / BYTES_PER_GB, base_content_hash(folder)
        )


def base_content_hash(folder: Path) -> str:
    """Digest of a model folder: small files by content, weights by name and size (they may be 65 GB)."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        content = str(path.stat().st_size) if path.suffix == ".safetensors" else sha256_of_file(path)
        digest.update(f"{path.name}\0{content}\n".encode())
    return digest.hexdigest()


def _serve(arms: dict[Arm, ModelVersion], services: Services) -> dict[int, tuple[ServerEndpoint, str]]:
    """Where each version answers and under which name; versions of one base model share a server."""
    from deployment.permanent import ensure_server
    from deployment.specification import ServerSpec, lora_adapter, served_name

    specs: dict[str, ServerSpec] = {}
    places: dict[int, tuple[str, str]] = {}
    for version in arms.values():
        name = served_name(version.model_name, version.version, version.content_hash)
        is_adapter = version.model_format is ModelFormat.LORA_ADAPTER
        whole_model = version.base_model_path if is_adapter else version.model_path
        base_name = _base_name(version, services) if is_adapter else name
        spec = specs.get(whole_model) or ServerSpec(model_path=whole_model, served_model_name=base_name)
        if is_adapter:
            spec = spec.with_adapters([lora_adapter(name, Path(version.model_path))])
        specs[whole_model] = spec
        places[version.model_id] = (whole_model, name)
    endpoints = {}
    for path, spec in specs.items():
        try:
            endpoints[path] = ensure_server(_on_cards(spec, services), services.settings)
        except TunewayError:
            _free_unless_serving(spec, services)
            raise
    return {model_id: (endpoints[path], name) for model_id, (path, name) in places.items()}


def _free_unless_serving(spec: ServerSpec, services: Services) -> None:
    """A server that never came up leaves its card to others; one that served before keeps it."""
    from deployment.permanent import program_name, state_path
    from deployment.specification import server_key

    key = server_key(spec.model_path)
    if not state_path(services.settings, key).exists():
        with services.unit_of_work() as uow:
            uow.leases.release(program_name(key))


def _base_name(version: ModelVersion, services: Services) -> str:
    from deployment.specification import served_name

    base = _ensure_base(version, services)
    return served_name(base.model_name, base.version, base.content_hash)


def _on_cards(spec: ServerSpec, services: Services) -> ServerSpec:
    """The server with a card of its own, leased for as long as it is deployed; as it is on a machine without any."""
    from deployment.backends import gpu_count
    from deployment.permanent import program_name
    from deployment.specification import server_key

    cards = gpu_count()
    if not cards:
        return spec
    owner = program_name(server_key(spec.model_path))
    with services.unit_of_work() as uow:
        leased = uow.leases.acquire(
            owner,
            1,
            host_name(),
            slots(services.settings, cards),
            kind=LeaseKind.SERVING,
            never=cards_in_use(services.settings),
            first=services.settings.serving_gpus,
        )
    if leased is None:
        raise CapacityError(
            "No GPU is free for the model server",
            value=f"{cards} GPUs, all leased",
            allowed="one free GPU for each server",
            next_step="wait for the running jobs, or raise TUNEWAY_GPU_SLOTS on a machine with more GPUs",
        )
    return spec.model_copy(update={"gpu_ids": leased})
