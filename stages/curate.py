"""The samples that people took, as a file for the import."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from contracts.enums import ReviewVerdict
from contracts.generation import CuratedSamples
from data_prep.masking.masker import mask
from storage.files import write_text_atomically

if TYPE_CHECKING:
    from contracts.generation import CurateRequest, SampleReview
    from contracts.record import JsonObject
    from stages.services import Services

CURATED_FILE = "curated.jsonl"


def curate(request: CurateRequest, services: Services) -> CuratedSamples:
    """Write the accepted and edited samples of a generation, in its order, each with who judged it.

    What a reviewer wrote is masked as everything else is. The file is written whole; another call writes it anew.
    """
    lines: list[str] = []
    counts: Counter[ReviewVerdict | None] = Counter()
    with services.unit_of_work() as uow:
        dataset_name = uow.reviews.counts(request.generation_id).dataset_name
        for sample in uow.reviews.samples(request.generation_id):
            counts[sample.verdict] += 1
            if is_taken(sample, request.include_waiting):
                lines.append(json.dumps(curated_row(sample), ensure_ascii=False) + "\n")
    path = services.settings.generations_dir / dataset_name / request.generation_id / CURATED_FILE
    write_text_atomically(path, "".join(lines))
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


def curated_row(sample: SampleReview) -> JsonObject:
    """The canonical row of a sample, as its reviewer left it."""
    review: JsonObject = {
        "verdict": None if sample.verdict is None else sample.verdict.value,
        "reviewer": sample.reviewer,
        "reviewed_at": None if sample.reviewed_at is None else sample.reviewed_at.isoformat(),
    }
    if sample.note:
        review["note"] = mask([sample.note])[0].text
    messages = sample.messages
    if sample.edited_messages is not None:
        contents = mask([str(message["content"]) for message in sample.edited_messages])
        messages = [
            {**message, "content": content.text}
            for message, content in zip(sample.edited_messages, contents, strict=True)
        ]
    return {"id": sample.sample_id, "messages": list(messages), "metadata": {**sample.metadata, "review": review}}
