"""The parity certificate of a deployment: what was trained and what is served, asked the same and compared.

Of a base model as well, which was trained elsewhere: its weights, computed by the trainer's libraries, stand for that.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.enums import LeaseKind, ModelFormat, ParityForm, ServerBackend
from contracts.errors import CapacityError, InvalidDataError, JobFailedError
from contracts.parity import MINIMUM_PROMPTS, ParityCertificate, ParitySample, TrainerSide
from contracts.record import utc_now
from stages.card_lease import leased_cards
from storage.files import write_text_atomically
from storage.private_folders import memory_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.models import ModelVersion
    from stages.deployment_steps import Place
    from stages.services import Services

PROMPTS = 60
ANSWER_TOKENS = 16
RESERVED_TOKENS = 80
"""For the answer and for the template's own words."""
TOKENS_OF_A_CHARACTER = 3
"""At most, of a Korean syllable: a tokenizer that does not know it writes its three bytes."""
TRAINER_TIMEOUT_SECONDS = 3600
LOG_TAIL = 3000

log = logging.getLogger(__name__)

Messages = list[dict[str, str]]


def certify(place: Place, base_url: str, backend: ServerBackend, services: Services) -> ParityCertificate:
    """Ask the served version and its weights the same prompts. Raises JobFailedError where a side does not answer."""
    from deployment.backends import max_model_length
    from deployment.engine import engine_at
    from deployment.observation import observe, read_specials
    from deployment.parity import compare, tolerance_for

    version = place.version
    longest = (max_model_length(place.spec) - RESERVED_TOKENS) // TOKENS_OF_A_CHARACTER
    prompts, source = parity_prompts(version, services, longest)
    samples = observe(base_url, place.name, prompts, ANSWER_TOKENS)
    trainer = _trainer_side(place, samples, services)
    form = form_of(version)
    dtype = served_dtype(place, trainer.dtype)
    tolerance = tolerance_for(form, dtype)
    found = compare(
        trainer, samples, read_specials(base_url, place.name, trainer.special_tokens), tolerance.log_probability
    )
    return ParityCertificate(
        model_id=version.model_id,
        content_hash=version.content_hash,
        form=form,
        backend=backend,
        engine=engine_at(base_url),
        trainer=trainer.software,
        dtype=dtype,
        tolerance=tolerance,
        prompts=len(prompts),
        prompt_source=source,
        tokens=sum(len(sample.token_ids) for sample in samples),
        checks=found.checks,
        largest_logprob_difference=found.largest_logprob_difference,
        first_difference=found.first_difference,
        ties=found.ties,
        checked_at=utc_now(),
    )


def certificate_file(certificate_id: int, place: Place, services: Services) -> Path:
    """The certificate as JSON, beside the registered models."""
    return services.settings.models_dir / "certificates" / f"{place.name.replace('/', '-')}-{certificate_id}.json"


def keep_certificate(certificate: ParityCertificate, deployment_id: int, place: Place, services: Services) -> int:
    """In PostgreSQL, with the model version, and as a file."""
    with services.unit_of_work() as uow:
        certificate_id = uow.certificates.add(certificate, deployment_id)
    path = certificate_file(certificate_id, place, services)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, certificate.model_dump_json(indent=1) + "\n")
    return certificate_id


def require_parity(certificate: ParityCertificate) -> None:
    """Raises JobFailedError, with the first differing token, for a certificate outside of its tolerance."""
    if certificate.passed:
        return
    wrong = "; ".join(f"{check.name}: {check.detail}" for check in certificate.checks if check.passed is False)
    first = certificate.first_difference
    where = ""
    if first is not None:
        where = (
            f"; first at token {first.position} of prompt {first.prompt} ({first.question[:60]!r}): "
            f"trained {first.trainer_token!r} ({first.trainer_id}), served {first.server_token!r} ({first.server_id})"
        )
    raise JobFailedError(
        "What is served is not what was trained",
        value=wrong + where,
        allowed=f"the same tokens, and log probabilities within {certificate.tolerance.log_probability:g}",
        next_step="see docs/deployment.md, the certificate's checks; what served before serves on",
    )


def form_of(version: ModelVersion) -> ParityForm:
    """In which form the version is served."""
    from deployment.backends import model_config

    if version.model_format is ModelFormat.LORA_ADAPTER:
        return ParityForm.ADAPTER
    return ParityForm.QUANTISED if model_config(version.model_path).get("quantization_config") else ParityForm.WHOLE


def served_dtype(place: Place, trained: str) -> str:
    """The lower precision of the two sides: vLLM lowers files of 32 bits on a GPU, unless it is told otherwise."""
    from deployment.backends import gpu_count

    if place.config.dtype is not None:
        return place.config.dtype if trained == "float32" else trained
    lowered = trained == "float32" and (gpu_count() > 0 or place.config.base_url is not None)
    return "bfloat16" if lowered and place.config.backend is not ServerBackend.EMBEDDED else trained


def parity_prompts(version: ModelVersion, services: Services, longest: int) -> tuple[list[Messages], str]:
    """Prompts of the rows that the model was not trained on; built-in ones where these are too few.

    Rows of more characters than `longest` are left out: the server might have no room for them.
    """
    from deployment.parity_prompts import PARITY_PROMPTS

    fitting = (
        asked for asked in _own_prompts(version, services) if sum(len(said["content"]) for said in asked) <= longest
    )
    own = list(islice(fitting, PROMPTS))
    if len(own) >= MINIMUM_PROMPTS:
        return own, "test and validation rows of the training dataset"
    built_in: list[Messages] = [[{"role": "user", "content": text}] for text in PARITY_PROMPTS]
    source = f"{len(own)} rows of the training dataset, the others built in" if own else "built in"
    return [*own, *built_in][:PROMPTS], source


def _own_prompts(version: ModelVersion, services: Services) -> list[Messages]:
    if version.finetuning_job_id is None:
        return []
    from training.conversations import read_conversations

    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(uow.jobs.get(version.finetuning_job_id).dataset_id)
    prompts: dict[str, Messages] = {}
    for split in ("test", "validation"):
        try:
            conversations = read_conversations(Path(dataset.file_path) / f"{split}.parquet")
        except InvalidDataError:
            continue  # preference pairs, or a split that the dataset version has not
        for messages in conversations:
            asked = _until_the_answer(messages)
            if asked:
                prompts.setdefault(repr(asked), asked)
    return list(prompts.values())


def _until_the_answer(messages: Sequence[dict[str, Any]]) -> Messages:
    asked: Messages = []
    for message in messages:
        if message["role"] == "assistant":
            break
        if not isinstance(message["content"], str):
            return []
        asked.append({"role": message["role"], "content": message["content"]})
    return asked if asked and asked[-1]["role"] == "user" else []


def _trainer_side(place: Place, samples: list[ParitySample], services: Services) -> TrainerSide:
    """The trainer's process; on a free card where there is one, else on the CPU."""
    from deployment.backends import gpu_count
    from training.parity_reference import ReferenceRequest

    request = ReferenceRequest(
        model_path=place.spec.model_path,
        adapter_path=None if place.adapter is None else place.adapter.path,
        samples=samples,
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tuneway-parity-", dir=memory_folder())))
        cards: list[int] = []
        if gpu_count():
            try:
                cards = stack.enter_context(
                    leased_cards("parity", place.config.gpus, LeaseKind.EVALUATION, services, wait_seconds=0)
                )
            except CapacityError:
                log.info("no card is free for the trainer's side of the certificate: it computes on the CPU")
        (folder / "request.json").write_text(request.model_dump_json(), encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "training.parity_reference"),
                *(str(folder / "request.json"), str(folder / "answer.json")),
            ],
            cwd=services.settings.repository_root,
            env={
                **os.environ,
                "PYTHONPATH": str(services.settings.repository_root),
                "HF_HUB_OFFLINE": "1",
                "CUDA_VISIBLE_DEVICES": ",".join(map(str, cards)),
            },
            capture_output=True,
            text=True,
            timeout=TRAINER_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise JobFailedError(
                "The trainer's side of the parity certificate did not come to its end",
                value=done.stderr[-LOG_TAIL:],
                allowed="weights that transformers reads",
                next_step="look at the model's folder, and at the memory that is free",
            )
        return TrainerSide.model_validate_json((folder / "answer.json").read_text(encoding="utf-8"))
