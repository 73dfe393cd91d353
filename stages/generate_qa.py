"""Stage generate_qa: documents become checked samples, ready to be reviewed and imported."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from contracts.enums import LeaseKind
from contracts.generation import NewReview
from data_prep.generation.generating import finished_report, generate
from data_prep.generation.passages import read_passages
from data_prep.imports.input_files import require_disk_space
from data_prep.policies import load_policy
from stages.key_files import key_in
from stages.model_gate import base_model_folder
from stages.progress import LoggedProgress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from contracts.generation import GenerateRequest, GenerationReport
    from data_prep.generation.generating import Sample
    from data_prep.rows import OnProgress
    from stages.services import Services

QDRANT_KEY_FILE = "qdrant_api_key"
_BYTES_PER_ANSWER = 20_000
"""An answer with its samples, as they lie on the disk."""


def generate_qa(
    request: GenerateRequest, services: Services, on_progress: OnProgress | None = None
) -> GenerationReport:
    """Ask the generator about every passage, keep the samples that pass the checks, put them up for review.

    The same request again asks only what has no answer yet. A generation that brings no sample is a report, no error.
    """
    settings = services.settings
    progress = on_progress or LoggedProgress()
    passages = read_passages(
        request,
        relative_to=settings.repository_root,
        allowed_roots=settings.allowed_input_roots,
        qdrant_api_key=_key(services, QDRANT_KEY_FILE) or "",
        on_progress=progress,
    )
    policy = load_policy(
        request.policy, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
    )
    finished = finished_report(request, passages, policy, settings.generations_dir)
    if finished is not None:
        return finished
    needed = len(passages.chunks) * len(request.templates) * _BYTES_PER_ANSWER
    require_disk_space(settings.generations_dir, needed, settings.min_free_disk_gb)
    api_key = key_in(services.settings, request.api_key_file)
    with _endpoint(request, services) as (endpoint_url, served_model):
        return generate(
            request,
            passages,
            policy,
            settings.generations_dir,
            endpoint_url=endpoint_url,
            served_model=served_model,
            api_key=api_key,
            on_samples=lambda generation_id, samples: _put_up(services, generation_id, request, samples),
            on_progress=progress,
        )


def _put_up(services: Services, generation_id: str, request: GenerateRequest, samples: Sequence[Sample]) -> None:
    with services.unit_of_work() as uow:
        uow.reviews.put_up(
            generation_id,
            request.dataset_name,
            [
                NewReview(
                    sample_id=sample.row.row_id,
                    position=position,
                    template=sample.template,
                    document=sample.chunk.document,
                    grounding=sample.grounding,
                    quality=sample.quality,
                    messages=[{"role": turn.role, "content": turn.content} for turn in sample.row.messages],
                    metadata=sample.row.metadata,
                    passage=sample.passage,
                )
                for position, sample in enumerate(samples)
            ],
        )


@contextmanager
def _endpoint(request: GenerateRequest, services: Services) -> Iterator[tuple[str, str]]:
    """Where the generator answers, and under which name; a server of our own, and its card, live as long as the block."""
    if request.endpoint_url is not None:
        yield request.endpoint_url, request.model
        return
    from deployment.ephemeral import running_server
    from deployment.specification import ServerSpec
    from stages.card_lease import leased_cards
    from stages.cards import real_gpus

    settings = services.settings
    folder = base_model_folder(request.model, settings)
    log_path = settings.generations_dir / request.dataset_name / "model-server.log"
    with leased_cards(f"generate-{request.dataset_name}", 1, LeaseKind.GENERATION, services) as cards:
        spec = ServerSpec(model_path=str(folder), served_model_name=folder.name, gpu_ids=cards if real_gpus() else [])
        with running_server(spec, settings, log_path) as endpoint:
            yield endpoint.base_url, folder.name


def _key(services: Services, name: str) -> str | None:
    path = services.settings.secrets_dir / name
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None
