"""The samples that people took, as a file for the import."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from contracts.enums import ReviewVerdict
from contracts.generation import CuratedSamples
from data_prep.generation.generating import REPORT_FILE, masker_for
from data_prep.policies import load_policy
from storage.files import read_json
from storage.stored_files import write_stored_text

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.generation import CurateRequest, SampleReview
    from contracts.record import JsonObject
    from data_prep.masking.masker import Masker
    from stages.services import Services

CURATED_FILE = "curated.jsonl"


def curate(request: CurateRequest, services: Services) -> CuratedSamples:
    """Write the accepted and edited samples of a generation, in its order, each with who judged it.

    What a reviewer wrote is masked by the generation's policy, as everything else is. The file is written whole; another call writes it anew.
    """
    lines: list[str] = []
    counts: Counter[ReviewVerdict | None] = Counter()
    with services.unit_of_work() as uow:
        dataset_name = uow.reviews.counts(request.generation_id).dataset_name
        folder = services.settings.generations_dir / dataset_name / request.generation_id
        masker = _masker(folder, services)
        for sample in uow.reviews.samples(request.generation_id):
            counts[sample.verdict] += 1
            if is_taken(sample, request.include_waiting):
                lines.append(json.dumps(curated_row(sample, masker), ensure_ascii=False) + "\n")
    path = folder / CURATED_FILE
    write_stored_text(path, "".join(lines))
    return CuratedSamples(
        generation_id=request.generation_id,
        dataset_name=dataset_name,
        path=str(path),
        rows=len(lines),
        accepted=counts[ReviewVerdict.ACCEPT],
        edited=counts[ReviewVerdict.EDIT],
        waiting=counts[None],
        rejected=counts[ReviewVerdict.REJECT],
    )


def is_taken(sample: SampleReview, include_waiting: bool) -> bool:
    """The sample belongs to the curated file."""
    return include_waiting if sample.verdict is None else sample.verdict is not ReviewVerdict.REJECT


def curated_row(sample: SampleReview, masker: Masker) -> JsonObject:
    """The canonical row of a sample, as its reviewer left it."""
    review: JsonObject = {
        "verdict": None if sample.verdict is None else sample.verdict.value,
        "reviewer": sample.reviewer,
        "reviewed_at": None if sample.reviewed_at is None else sample.reviewed_at.isoformat(),
    }
    if sample.note:
        review["note"] = masker.mask([sample.note]).texts[0]
    messages = sample.messages
    if sample.edited_messages is not None:
        contents = masker.mask([str(message["content"]) for message in sample.edited_messages]).texts
        messages = [
            {**message, "content": content} for message, content in zip(sample.edited_messages, contents, strict=True)
        ]
    return {"id": sample.sample_id, "messages": list(messages), "metadata": {**sample.metadata, "review": review}}


def _masker(folder: Path, services: Services) -> Masker:
    report = read_json(folder / REPORT_FILE) or {}
    settings = services.settings
    policy = load_policy(
        str(report.get("policy", "default")),
        relative_to=settings.repository_root,
        allowed_roots=settings.allowed_input_roots,
    )
    return masker_for(policy)
