"""Which model a person means, and where its weights and its template are."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from contracts.enums import EvaluatedKind, JobStatus
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.record import Record
from contracts.suites import EvaluatedModel
from evaluation.test_cases import most_common_system_prompt
from security.model_files import check_model_folder
from stages.model_gate import base_model_folder, given_folder
from stages.models import ID_PREFIX, find_model
from storage.files import sha256_of_file

if TYPE_CHECKING:
    from contracts.jobs import FinetuningJob
    from contracts.models import ModelVersion
    from deployment.specification import ServerSpec
    from stages.services import Services

JOB_PREFIX = "job:"
FORMS = "NAME, NAME@VERSION, NAME@production, job:17, a model's folder, or http://host:port#served-name"
NOT_OF_THE_MODEL = frozenset({"manifest.json", "bom.json", "trainer_state.json", "training_args.json"})
"""Files of a folder that say where a model came from: a registered copy has others than the job's output."""


class ResolvedModel(Record):
    """A model that can be asked: what it is called, and where it is."""

    model: EvaluatedModel
    served_name: str
    """Under which a server of ours, or the given endpoint, answers as it."""
    endpoint_url: str | None = None
    """Only of a model that somebody else serves."""
    model_path: str | None = None
    """Folder of the whole model: the base model, where there is an adapter."""
    adapter_path: str | None = None
    template_sha256: str = ""
    system_prompt: str | None = None
    """That most of its training rows carry."""

    def server(self, gpu_ids: list[int]) -> ServerSpec:
        """How to serve it. Only for models with a folder."""
        from deployment.specification import ServerSpec, lora_adapter

        assert self.model_path is not None
        if self.adapter_path is None:
            return ServerSpec(model_path=self.model_path, served_model_name=self.served_name, gpu_ids=gpu_ids)
        base = ServerSpec(
            model_path=self.model_path, served_model_name=f"base-{Path(self.model_path).name[:100]}", gpu_ids=gpu_ids
        )
        return base.with_adapters([lora_adapter(self.served_name, Path(self.adapter_path))])


def resolve_model(given: str, services: Services) -> ResolvedModel:
    """The model that the text names. Raises InvalidRequestError, NotFoundError or ConflictError."""
    if given.startswith(("http://", "https://")):
        return _endpoint(given)
    if given.startswith(JOB_PREFIX):
        return _job(given, services)
    if given.startswith(("/", "./", "../", "~")) or Path(given).is_dir():
        return _folder(given, services)
    return _registered(given, services)


def resolved_job(job: FinetuningJob, services: Services) -> ResolvedModel:
    """A completed job's model."""
    if job.status is not JobStatus.COMPLETED or job.report is None:
        raise ConflictError(
            f"The fine-tuning job {job.job_name} cannot be evaluated",
            value=job.status.value,
            allowed="a completed job",
            next_step="wait until it is completed, or start it again if it failed",
        )
    return _on_disk(
        Path(job.report.output_path),
        Path(job.report.base_model_path),
        services,
        kind=EvaluatedKind.JOB,
        name=f"job {job.job_id} ({job.job_name})",
        slug=job.job_name,
        job=job,
        base_model=job.base_model,
    )


def resolved_folder(folder: Path, services: Services, name: str | None = None) -> ResolvedModel:
    """A whole model in a folder."""
    return _on_disk(
        folder, None, services, kind=EvaluatedKind.FOLDER, name=name or folder.name, slug=folder.name, job=None
    )


def template_sha256(folder: Path) -> str:
    """Of the chat template in a model's folder; empty where it has none."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return sha256_of_file(file)
    config = folder / "tokenizer_config.json"
    template = json.loads(config.read_text(encoding="utf-8")).get("chat_template") if config.is_file() else None
    return "" if template is None else hashlib.sha256(json.dumps(template).encode()).hexdigest()


def _endpoint(given: str) -> ResolvedModel:
    address, _, served_name = given.partition("#")
    parts = urlsplit(address)
    if not served_name or not parts.hostname or parts.username is not None:
        raise InvalidRequestError(
            "An endpoint is given by its address and the served model's name",
            value=given if parts.username is None else "an address with a password in it",
            allowed="http://host:port#served-name",
            next_step="add # and the name that GET /v1/models lists",
        )
    url = address.rstrip("/").removesuffix("/v1") + "/v1"
    digest = hashlib.sha256(f"{url}\0{served_name}".encode()).hexdigest()
    return ResolvedModel(
        model=EvaluatedModel(kind=EvaluatedKind.ENDPOINT, name=f"{served_name} at {parts.netloc}", content_hash=digest),
        served_name=served_name,
        endpoint_url=url,
    )


def _job(given: str, services: Services) -> ResolvedModel:
    number = given.removeprefix(JOB_PREFIX)
    if not number.isdecimal():
        raise InvalidRequestError(
            "A job is given by its number", value=given, allowed="job:17", next_step="see `tuneway job list`"
        )
    with services.unit_of_work() as uow:
        job = uow.jobs.get(int(number))
    return resolved_job(job, services)


def _folder(given: str, services: Services) -> ResolvedModel:
    folder = given_folder(Path(given).expanduser(), services.settings)
    if not (folder / "config.json").is_file():
        raise InvalidRequestError(
            "There is no model in the folder",
            value=given,
            allowed="a folder with config.json, weights and tokenizer, as transformers saves it",
            next_step="for an adapter, name its job (job:17) or its registered version instead",
        )
    return resolved_folder(folder, services)


def _registered(given: str, services: Services) -> ResolvedModel:
    """A registered version; else a base model by its name in the models folder."""
    name, _, reference = given.partition("@")
    with services.unit_of_work() as uow:
        is_registered = bool(uow.models.of_name(name))
    if is_registered or reference or given.startswith(ID_PREFIX):
        return resolved_version(find_model(given, services), services)
    try:
        folder = base_model_folder(given, services.settings)
    except InvalidRequestError as error:
        if any((root / given).is_dir() for root in services.settings.allowed_model_roots):
            raise  # it says what the folder lacks
        raise NotFoundError(
            "There is no model of this name", value=given, allowed=FORMS, next_step="see `tuneway model list`"
        ) from error
    return resolved_folder(folder, services, name=given)


def resolved_version(version: ModelVersion, services: Services) -> ResolvedModel:
    """A registered version's model."""
    job = None
    if version.finetuning_job_id is not None:
        with services.unit_of_work() as uow:
            job = uow.jobs.get(version.finetuning_job_id)
    return _on_disk(
        Path(version.model_path),
        Path(version.base_model_path),
        services,
        kind=EvaluatedKind.MODEL_VERSION,
        name=f"{version.model_name} {version.version}",
        slug=version.model_name,
        job=job,
        base_model=version.base_model,
        model_id=version.model_id,
    )


def _on_disk(
    folder: Path,
    base: Path | None,
    services: Services,
    *,
    kind: EvaluatedKind,
    name: str,
    slug: str,
    job: FinetuningJob | None,
    base_model: str | None = None,
    model_id: int | None = None,
) -> ResolvedModel:
    """The model in a folder, which may be an adapter of the base."""
    from deployment.specification import is_adapter
    from training.run_manifest import base_model_sha256

    adapter = folder if base is not None and is_adapter(folder) else None
    whole = base if adapter is not None and base is not None else folder
    for needed in {folder, whole}:
        if not needed.is_dir():
            raise NotFoundError(
                f"A folder of the model {name} is gone", value=needed, next_step="restore the folder, or train again"
            )
        check_model_folder(needed)
    cache = services.settings.cache_dir
    content = base_model_sha256(whole, cache, NOT_OF_THE_MODEL)
    if adapter is not None:
        own = base_model_sha256(adapter, cache, NOT_OF_THE_MODEL)
        content = hashlib.sha256(f"adapter\0{own}\nbase\0{content}".encode()).hexdigest()
    return ResolvedModel(
        model=EvaluatedModel(
            kind=kind,
            name=name,
            content_hash=content,
            model_id=model_id,
            job_id=None if job is None else job.job_id,
            base_model=base_model,
            model_path=str(folder),
        ),
        served_name=f"{_as_served(Path(slug).name)}-{content[:8]}",
        model_path=str(whole),
        adapter_path=None if adapter is None else str(adapter),
        template_sha256=template_sha256(whole),
        system_prompt=None if job is None else _training_prompt(job, services),
    )


def _as_served(name: str) -> str:
    """The name in letters that every server takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:100].lstrip("._-") or "model"


def _training_prompt(job: FinetuningJob, services: Services) -> str | None:
    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(job.dataset_id)
    return most_common_system_prompt(Path(dataset.file_path) / "train.parquet")
