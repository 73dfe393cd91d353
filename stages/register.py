"""Stage register: a model that passed the gate becomes an immutable, numbered version."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.enums import ModelFormat, ModelStatus
from contracts.errors import ConflictError, NotFoundError, UnavailableError
from contracts.record import utc_now
from data_prep.abandoned import remove_abandoned_folders
from evaluation.comparison import accuracy_lost
from registry.model_files import MANIFEST_FILE, ModelStore
from security.bill_of_materials import BILL_FILE, bill_of_materials
from security.model_files import check_model_folder
from security.signing import SIGNATURE_FILE
from stages.compression_report import require_parents_suite
from stages.model_cards import KOREAN_CARD as CARD_FILE
from stages.model_cards import card_content, write_cards
from stages.model_catalogue import mirror
from stages.owners import claim_for_starter
from stages.provenance import sign_model_folder
from storage.files import folder_written_whole, sha256_of_file, write_json_atomically, write_text_atomically

if TYPE_CHECKING:
    from pydantic import JsonValue

    from contracts.datasets import DatasetVersion
    from contracts.evaluation import EvaluationReport
    from contracts.models import ModelVersion, RegisterRequest
    from contracts.record import JsonObject
    from contracts.training import CompressionFacts, TrainingReport
    from stages.services import Services

BYTES_PER_GB = 1_000_000_000
MADE_OF = ("base_model_sha256", "recipe_name", "seed", "code_revision", "code_sha256", "libraries")
"""Of the run's manifest, what the version's own keeps."""


def register(request: RegisterRequest, services: Services) -> ModelVersion:
    """Take the job's output into the store, and enter it in PostgreSQL and in MLflow. Safe to repeat.

    The same content under the same name is the same version. Raises ConflictError unless the recorded verdict passed.
    """
    training, evaluation, dataset = _passed(request, services)
    output = Path(training.output_path)
    files = _files(output)
    content_hash = _content_hash(files, training)
    manifest = _manifest(request, files, content_hash, training, evaluation, dataset)
    manifest["compression"] = _compression(training, evaluation, services)
    store = ModelStore(services.settings.models_dir)
    with store.writing():
        with services.unit_of_work() as uow:
            present = uow.models.find_by_content(request.model_name, content_hash)
            number = present.version if present else uow.models.next_version(request.model_name)
        folder = (
            Path(present.model_path)
            if present
            else store.registered / request.model_name / f"v{number}-{content_hash[:8]}"
        )
        remove_abandoned_folders(folder.parent)
        if not (folder / MANIFEST_FILE).is_file():
            judged = [
                (suite.name, suite.tuned.accuracy, suite.tuned.n) for suite in (evaluation.main, *evaluation.extras)
            ]
            bill = bill_of_materials(manifest, judged, utc_now().isoformat())
            _take_in(output, folder, files, manifest, bill, store)
        version = _enter(request, number, folder, files, content_hash, training, evaluation, services)
        key = services.settings.signing_key
        if key is not None and not (folder / SIGNATURE_FILE).is_file():
            sign_model_folder(folder, key)
    mirror(request.model_name, services, with_cards_of=[version.model_id])
    with services.unit_of_work() as uow:
        return uow.models.get(version.model_id)


def _enter(
    request: RegisterRequest,
    number: str,
    folder: Path,
    files: dict[str, tuple[str, int]],
    content_hash: str,
    training: TrainingReport,
    evaluation: EvaluationReport,
    services: Services,
) -> ModelVersion:
    """The version's rows, in one transaction."""
    with services.unit_of_work() as uow:
        version = uow.models.add(
            model_name=request.model_name,
            version=None,
            base_model=training.base_model,
            base_model_path=training.base_model_path,
            finetuning_job_id=request.job_id,
            model_path=str(folder),
            model_format=_format(training),
            model_size_gb=sum(size for _, size in files.values()) / BYTES_PER_GB,
            status=ModelStatus.STAGING,
            mlflow_model_uri=None,
            content_hash=content_hash,
            description=request.description or None,
            tags=request.tags,
        )
        if version.version != number:
            raise UnavailableError(
                "Another model version took the same number at the same moment",
                value=folder.name,
                next_step="register again: it gets the next number",
            )
        claim_for_starter(ResourceKind.MODEL, version.model_id, services, uow, job_id=request.job_id)
        for suite in (evaluation.main, *evaluation.extras):
            uow.models.record_benchmark(
                version.model_id,
                suite.name,
                suite.tuned.accuracy,
                {"evaluation_id": evaluation.evaluation_id, **suite.model_dump(mode="json")},
            )
        card = write_cards(card_content(version, uow))[CARD_FILE]
    if not (folder / CARD_FILE).is_file():
        write_text_atomically(folder / CARD_FILE, card)
    return version


def _passed(request: RegisterRequest, services: Services) -> tuple[TrainingReport, EvaluationReport, DatasetVersion]:
    """What is to be registered. Raises ConflictError unless the evaluation is the job's own and its verdict passed."""
    with services.unit_of_work() as uow:
        job = uow.jobs.get(request.job_id)
        evaluation = uow.evaluations.get(request.evaluation_id)
        verdict = uow.evaluations.verdict(request.evaluation_id)
        dataset = uow.datasets.get(job.dataset_id)
    if evaluation.job_id != request.job_id:
        raise ConflictError(
            "The evaluation is of another fine-tuning job",
            value=f"evaluation {evaluation.evaluation_id} of job {evaluation.job_id}",
            allowed=f"an evaluation of job {request.job_id}",
            next_step=f"evaluate job {request.job_id} first",
        )
    if job.report is None:
        raise ConflictError("The fine-tuning job has no result", value=job.job_name, next_step="wait until it is done")
    if verdict is None or not verdict.passed:
        raise ConflictError(
            "Only a model that passed the gate can be registered",
            value="no verdict yet" if verdict is None else f"verdict {verdict.decision.value}: {verdict.reasons[0]}",
            allowed="an evaluation whose newest verdict is pass",
            next_step="run the gate stage first"
            if verdict is None
            else "improve the model, or lower the bar on purpose",
        )
    if verdict.accuracy_bar < request.accuracy_bar - 1e-9:
        raise ConflictError(
            "The model passed a lower bar than the one it is registered for",
            value=f"passed {verdict.accuracy_bar:g}, asked for {request.accuracy_bar:g}",
            allowed=f"accuracy_bar of at most {verdict.accuracy_bar:g}",
            next_step=f"run the gate stage with accuracy_bar {request.accuracy_bar:g}",
        )
    if job.report.compression is not None:
        _require_comparison(job.report.compression, evaluation, services)
    return job.report, evaluation, dataset


def _require_comparison(facts: CompressionFacts, evaluation: EvaluationReport, services: Services) -> None:
    """A compression's cost is known on the suite by which its parent was judged. Raises ConflictError."""
    main = evaluation.main
    if evaluation.parent_job_id != facts.parent_job_id or not main.tuned.n or main.base.n != main.tuned.n:
        raise ConflictError(
            "A compressed model is registered only with what it costs, and it was not compared with its parent",
            value=f"evaluation {evaluation.evaluation_id}",
            allowed=f"an evaluation that asked job {facts.parent_job_id}'s model the same questions",
            next_step=f"evaluate job {evaluation.job_id} again: the parent is asked beside it",
        )
    require_parents_suite(
        facts.parent_job_id, {suite.sha256: suite.name for suite in (main, *evaluation.extras)}, services
    )


def _files(output: Path) -> dict[str, tuple[str, int]]:
    """Hash and size of each file of the job's output, by its name in the folder."""
    if not output.is_dir():
        raise NotFoundError("The job's output folder is gone", value=output, next_step="restore it, or train again")
    check_model_folder(output)
    paths = sorted(path for path in output.rglob("*") if path.is_file())
    return {str(path.relative_to(output)): (sha256_of_file(path), path.stat().st_size) for path in paths}


def _base_config_hash(training: TrainingReport) -> str:
    config = Path(training.base_model_path) / "config.json"
    if not config.is_file():
        raise NotFoundError(
            "The base model of the fine-tuning job is gone", value=config.parent, next_step="restore its folder"
        )
    return sha256_of_file(config)


def _content_hash(files: dict[str, tuple[str, int]], training: TrainingReport) -> str:
    """Of the files and of the base model they belong to: an adapter is another model on another base."""
    lines = [f"{name}\0{digest}" for name, (digest, _) in files.items()]
    lines.append(f"base\0{training.base_model_path}\0{_base_config_hash(training)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _manifest(
    request: RegisterRequest,
    files: dict[str, tuple[str, int]],
    content_hash: str,
    training: TrainingReport,
    evaluation: EvaluationReport,
    dataset: DatasetVersion,
) -> JsonObject:
    listed: list[JsonValue] = [
        {"path": name, "sha256": digest, "size_bytes": size} for name, (digest, size) in files.items()
    ]
    return {
        "model_name": request.model_name,
        "content_hash": content_hash,
        "model_format": _format(training).value,
        "files": listed,
        "base_model": training.base_model,
        "base_model_path": training.base_model_path,
        "base_config_sha256": _base_config_hash(training),
        "weights_sha256": training.weights_sha256,
        "run": None if training.manifest is None else training.manifest.model_dump(mode="json", include=set(MADE_OF)),
        "watermark": None if training.watermark is None else training.watermark.model_dump(mode="json"),
        "dataset": {
            "dataset_id": dataset.dataset_id,
            "name": dataset.name,
            "version": dataset.version,
            "content_hash": dataset.content_hash,
        },
        "job": {"job_id": training.job_id, "job_name": training.job_name, "mlflow_run_id": training.mlflow_run_id},
        "verdict": {
            "evaluation_id": evaluation.evaluation_id,
            "accuracy": evaluation.main.tuned.accuracy,
            "test_cases": evaluation.main.tuned.n,
        },
    }


def _compression(training: TrainingReport, evaluation: EvaluationReport, services: Services) -> JsonObject | None:
    """What the version's manifest says of a compression: what was done, of which version, and what it costs."""
    facts = training.compression
    if facts is None:
        return None
    with services.unit_of_work() as uow:
        parent = uow.models.find_for_job(facts.parent_job_id)
    return {
        **facts.model_dump(mode="json"),
        "parent_version": None if parent is None else f"{parent.model_name} {parent.version}",
        "costs": [accuracy_lost(suite).model_dump(mode="json") for suite in (evaluation.main, *evaluation.extras)],
    }


def _format(training: TrainingReport) -> ModelFormat:
    from deployment.specification import is_adapter

    output = Path(training.output_path)
    if is_adapter(output):
        return ModelFormat.LORA_ADAPTER
    if any(output.glob("*.gguf")):
        return ModelFormat.GGUF
    if training.compression is not None and training.compression.method.quantizes:
        return ModelFormat(training.compression.method.value)
    return ModelFormat.HUGGINGFACE


def _take_in(
    output: Path,
    folder: Path,
    files: dict[str, tuple[str, int]],
    manifest: JsonObject,
    bill: JsonObject,
    store: ModelStore,
) -> None:
    """The folder, whole or not at all, of links to stored files; its manifest is written last."""
    with folder_written_whole(folder) as temporary:
        for name, (digest, size) in files.items():
            store.put(output / name, digest, size)
            store.link(digest, temporary / name)
        write_json_atomically(temporary / BILL_FILE, bill)
        write_json_atomically(temporary / MANIFEST_FILE, manifest)
