"""The steps of a deployment, each from one state that PostgreSQL keeps to the next.

    planned ─▶ starting ─▶ healthy ─▶ parity_checked ─▶ warmed ─▶ serving ─▶ draining ─▶ stopped
       └──────────┴───────────┴──────────────┴─────────────┴─▶ failed

What a step does can be done twice, and its state moves by compare-and-set: two processes cannot both move it, and after
a kill the next call goes on from the state that is there.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.deployments import DeploymentConfig, ModelDeployment
from contracts.enums import Arm, DeploymentState, LeaseKind, ModelFormat, ServerBackend
from contracts.errors import CapacityError, ConflictError, InvalidRequestError, TunewayError, UnavailableError
from contracts.models import ModelVersion
from security.model_files import check_model_folder
from stages.base_versions import ensure_base, is_unchanged_since
from stages.launching import cards_in_use, slots
from storage.processes import host_name

if TYPE_CHECKING:
    from contracts.parity import ParityCertificate
    from contracts.record import JsonObject
    from database.unit_of_work import UnitOfWork
    from deployment.specification import LoraAdapter, ServerSpec
    from stages.services import Services

HEALTH_QUESTION = "안녕하세요. 무엇을 도와주실 수 있습니까?"
HEALTH_TOKENS = 16
ANSWER_SHOWN = 200

log = logging.getLogger(__name__)

OnState = Callable[[ModelVersion, DeploymentState], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version is to answer, and as what."""

    version: ModelVersion
    config: DeploymentConfig
    spec: ServerSpec
    key: str
    """Of the server."""
    name: str
    """Under which the version answers."""

    @property
    def adapter(self) -> LoraAdapter | None:
        """The version, where it is an adapter."""
        return next((adapter for adapter in self.spec.adapters if adapter.name == self.name), None)


@dataclass(frozen=True, slots=True)
class Ready:
    """A deployment that answers."""

    deployment: ModelDeployment
    base_url: str
    backend: ServerBackend


def place_of(version: ModelVersion, config: DeploymentConfig, services: Services) -> Place:
    """The version's server and name. Raises InvalidRequestError where its files are gone."""
    from deployment.specification import ServerSpec, lora_adapter, served_name, server_key

    name = served_name(version.model_name, version.version, version.content_hash)
    is_adapter = version.model_format is ModelFormat.LORA_ADAPTER
    if config.served_model_name is not None:
        base_name = config.served_model_name
    elif is_adapter:
        base = ensure_base(version, services)
        base_name = served_name(base.model_name, base.version, base.content_hash)
    else:
        base_name = name
    whole_model = version.base_model_path if is_adapter else version.model_path
    spec = ServerSpec(
        model_path=whole_model,
        served_model_name=base_name,
        adapters=[lora_adapter(name, Path(version.model_path))] if is_adapter else [],
        card_share=config.gpu_share,
        max_model_length=config.max_model_length,
        max_num_seqs=config.max_num_seqs,
        dtype=config.dtype,
        extra_arguments=config.extra_arguments,
        backend=None if config.backend is ServerBackend.URL else config.backend,
        allow_inexact_int8=config.allow_inexact_int8,
    )
    key = server_key(whole_model) if config.base_url is None else _key_of_url(config.base_url)
    return Place(version, config, spec, key, name if is_adapter else base_name)


def _key_of_url(base_url: str) -> str:
    return f"url-{hashlib.sha256(base_url.encode()).hexdigest()[:12]}"


def bring_up(place: Place, arm: Arm, services: Services, on_state: OnState | None = None) -> Ready:
    """Take the version's deployment from where it is to `warmed`; one that serves is looked at only.

    An error that a retry can help leaves it where it is; any other fails it, and frees what it held.
    """
    deployment = _planned(place, arm, services, on_state)
    if deployment.state is DeploymentState.SERVING:
        found = _ensure(place, services)
        _ask(found["base_url"], place)
        return Ready(deployment, found["base_url"], ServerBackend(found["backend"]))
    while deployment.state in STEPS:
        after, step = STEPS[deployment.state]
        try:
            columns, details = step(deployment, place, services)
        except TunewayError as error:
            if not error.retryable:
                fail(deployment, place, error, services)
            raise
        with services.unit_of_work() as uow:
            moved = uow.deployments.move(deployment.deployment_id, deployment.state, after, details, **columns)
            deployment = uow.deployments.get(deployment.deployment_id)
        if moved and on_state is not None:
            on_state(place.version, after)
    if deployment.state not in {DeploymentState.WARMED, DeploymentState.SERVING}:
        raise moved_by_another(deployment)
    assert deployment.base_url is not None
    assert deployment.backend is not None
    return Ready(deployment, deployment.base_url, deployment.backend)


def moved_by_another(deployment: ModelDeployment) -> ConflictError:
    """Somebody stopped it, or saw it fail, while this call was at work on it."""
    why = (deployment.failure or {}).get("what", "")
    return ConflictError(
        "Another process has ended this deployment in the meantime",
        value=f"deployment {deployment.deployment_id} of model {deployment.model_id}: {deployment.state} {why}".strip(),
        allowed="one that nobody else ends",
        next_step="deploy the model version again",
    )


def _planned(place: Place, arm: Arm, services: Services, on_state: OnState | None) -> ModelDeployment:
    from stages.undeploy import finish_draining

    while True:
        with services.unit_of_work() as uow:
            before = uow.deployments.live(place.version.model_id)
            deployment = uow.deployments.plan(
                model_id=place.version.model_id,
                arm=arm,
                config=place.config,
                server_key=place.key,
                served_model_name=place.name,
            )
        if deployment.state is DeploymentState.DRAINING:
            finish_draining(deployment, place, services)
            continue
        if deployment.config != place.config:
            raise moved_by_another(deployment)
        if before is None and on_state is not None:
            on_state(place.version, DeploymentState.PLANNED)
        return deployment


def _start(_: ModelDeployment, place: Place, services: Services) -> tuple[dict[str, Any], JsonObject]:
    if place.config.base_url is None:
        check_model_folder(Path(place.spec.model_path))
    if place.adapter is not None:
        check_model_folder(Path(place.adapter.path))
    return {}, {"cards": list(_with_cards(place, services).gpu_ids)}


def _become_healthy(_: ModelDeployment, place: Place, services: Services) -> tuple[dict[str, Any], JsonObject]:
    from deployment.engine import engine_at

    found = _ensure(place, services)
    return {**found}, {**found, "engine": engine_at(found["base_url"])}


def _check_parity(deployment: ModelDeployment, place: Place, services: Services) -> tuple[dict[str, Any], JsonObject]:
    from stages.certify import certify, keep_certificate, require_parity

    assert deployment.base_url is not None
    assert deployment.backend is not None
    with services.unit_of_work() as uow:
        before = uow.certificates.newest(place.version.model_id)
        is_base = uow.models.is_base(place.version.model_id)
    if before is not None and _certifies(before, deployment, place, is_base=is_base):
        return {}, {"certificate": before.checked_at.isoformat(), "because": "the same weights on the same engine"}
    certificate = certify(place, deployment.base_url, deployment.backend, services)
    certificate_id = keep_certificate(certificate, deployment.deployment_id, place, services)
    require_parity(certificate)
    return {}, {
        "certificate": certificate_id,
        "prompts": certificate.prompts,
        "tokens": certificate.tokens,
        "ties": len(certificate.ties),
        "largest_logprob_difference": certificate.largest_logprob_difference,
    }


def _certifies(certificate: ParityCertificate, deployment: ModelDeployment, place: Place, *, is_base: bool) -> bool:
    """An earlier certificate holds: nothing has changed but the process. Settings may change an engine's answers."""
    from deployment.engine import UNKNOWN_ENGINE, engine_at

    assert deployment.base_url is not None
    return (
        certificate.certifies(place.version.content_hash)
        and (not is_base or is_unchanged_since(Path(place.version.model_path), certificate.checked_at))
        and certificate.backend is deployment.backend
        and deployment.backend is not ServerBackend.URL
        and place.config == DeploymentConfig()
        and certificate.engine == engine_at(deployment.base_url) != UNKNOWN_ENGINE
    )


def _warm(deployment: ModelDeployment, place: Place, _: Services) -> tuple[dict[str, Any], JsonObject]:
    assert deployment.base_url is not None
    began = time.monotonic()
    answer = _ask(deployment.base_url, place)
    return {}, {"answer": answer[:ANSWER_SHOWN], "seconds": round(time.monotonic() - began, 3)}


STEPS: dict[
    DeploymentState,
    tuple[DeploymentState, Callable[[ModelDeployment, Place, Services], tuple[dict[str, Any], JsonObject]]],
] = {
    DeploymentState.PLANNED: (DeploymentState.STARTING, _start),
    DeploymentState.STARTING: (DeploymentState.HEALTHY, _become_healthy),
    DeploymentState.HEALTHY: (DeploymentState.PARITY_CHECKED, _check_parity),
    DeploymentState.PARITY_CHECKED: (DeploymentState.WARMED, _warm),
}
"""From each state: the next one, and what brings a deployment there. A step returns columns to set and what it found."""


def _ask(base_url: str, place: Place) -> str:
    from deployment.client import ask

    return ask(base_url, place.name, HEALTH_QUESTION, max_tokens=HEALTH_TOKENS)


def _ensure(place: Place, services: Services) -> dict[str, str]:
    """The server up, and knowing the version; where it answers."""
    from deployment.permanent import ensure_server

    if place.config.base_url is not None:
        _ensure_at_url(place, place.config.base_url)
        return {"base_url": place.config.base_url, "backend": ServerBackend.URL.value}
    try:
        endpoint = ensure_server(_with_cards(place, services), services.settings)
    except TunewayError:
        _free_unless_serving(place, services)
        raise
    return {"base_url": endpoint.base_url, "backend": endpoint.backend.value}


def _ensure_at_url(place: Place, base_url: str) -> None:
    from deployment import client

    if not client.is_healthy(base_url):
        raise UnavailableError(
            "The server that runs already does not answer /health",
            value=base_url,
            next_step="start it, then deploy again",
        )
    names = client.model_names(base_url)
    if place.spec.served_model_name not in names:
        raise InvalidRequestError(
            "The server that runs already does not serve the model",
            value=f"{place.spec.served_model_name} at {base_url}",
            allowed=", ".join(names),
            next_step="give the name that its /v1/models lists as served_model_name",
        )
    if place.adapter is not None:
        client.load_adapter(base_url, place.adapter)


def _with_cards(place: Place, services: Services) -> ServerSpec:
    """The server with cards of its own, leased for as long as it is deployed; as it is on a machine without any."""
    from deployment.backends import gpu_count
    from deployment.permanent import program_name

    cards = gpu_count()
    if not cards or place.config.base_url is not None:
        return place.spec
    with services.unit_of_work() as uow:
        uow.deployments.lock_server(place.key)
        leased = uow.leases.acquire(
            program_name(place.key),
            place.config.gpus,
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
            allowed=f"{place.config.gpus} free GPU for each server",
            next_step="wait for the running jobs, or raise TUNEWAY_GPU_SLOTS on a machine with more GPUs",
        )
    return place.spec.model_copy(update={"gpu_ids": leased})


def _free_unless_serving(place: Place, services: Services) -> None:
    """A server that never came up leaves its card to others; one that served before keeps it."""
    from deployment.permanent import program_name, state_path

    if not state_path(services.settings, place.key).exists():
        with services.unit_of_work() as uow:
            uow.leases.release(program_name(place.key))


def fail(deployment: ModelDeployment, place: Place, error: TunewayError, services: Services) -> None:
    """The deployment is over, with the error as its reason; what it alone held is free again."""
    with services.unit_of_work() as uow:
        uow.deployments.lock_server(place.key)
        if uow.deployments.get(deployment.deployment_id).state is not deployment.state:
            return
        try:
            leave_server(deployment, place, uow, services)
        except UnavailableError as away:
            log.warning("the server of the failed deployment could not be stopped: %s", away)
        failure = error.as_record()
        uow.deployments.move(
            deployment.deployment_id, deployment.state, DeploymentState.FAILED, failure, failure=failure
        )
        uow.audit.append("deploy", "model.deployment_failed", f"model/{deployment.model_id}", failure)


def leave_server(deployment: ModelDeployment, place: Place, uow: UnitOfWork, services: Services) -> None:
    """Take the version off its server; the last one to leave stops it and gives its cards back.

    The caller holds the server's lock.
    """
    from deployment import client
    from deployment.permanent import drop_adapter, program_name, read_state, remove_server, state_path

    if place.config.base_url is not None:
        if place.adapter is not None:
            client.unload_adapter(place.config.base_url, place.name)
        return
    server = read_state(state_path(services.settings, place.key))
    if server is None:
        uow.leases.release(program_name(place.key))
        return
    at = server.endpoint(services.settings).base_url
    others = {other.model_id for other in uow.deployments.on_server(place.key)}
    others |= {endpoint.model_id for endpoint in uow.models.deployed() if endpoint.base_url == at}
    if others - {deployment.model_id}:
        if place.adapter is not None:
            drop_adapter(place.key, place.name, services.settings)
        return
    remove_server(place.key, services.settings)
    uow.leases.release(program_name(place.key))
