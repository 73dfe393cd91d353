"""The card of a model version as its evaluations stand now, in Korean and English."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from contracts.errors import ConflictError
from registry.model_card import CardContent, write_model_card
from stages.compression_report import compression_lines, cost_lines

if TYPE_CHECKING:
    from contracts.evaluation import EvaluationReport
    from contracts.models import ModelVersion
    from contracts.training import CompressionFacts
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

KOREAN_CARD, ENGLISH_CARD = "MODEL_CARD.md", "MODEL_CARD.en.md"
_LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt")
_LICENCE_LINE = re.compile(r"^license(?:_name)?:\s*[\"']?([^\s\"'].*?)[\"']?\s*$", re.MULTILINE)


def card_content(version: ModelVersion, uow: UnitOfWork) -> CardContent:
    """What the version's card tells. Raises ConflictError for a version that no job of ours made."""
    job = None if version.finetuning_job_id is None else uow.jobs.get(version.finetuning_job_id)
    if job is None or job.report is None:
        raise ConflictError(
            "A model card is written for models that a fine-tuning job made",
            value=f"{version.model_name} {version.version}",
            allowed="a version with a finished job",
            next_step="choose another version with `tuneway model list`",
        )
    evaluation = uow.evaluations.latest_for_job(job.job_id)
    judged = uow.evaluations.newest_judged(job.job_id)
    # the numbers that the verdict is about, where a newer evaluation has none yet
    shown = judged[0] if judged is not None else evaluation
    newest = {}
    for result in sorted(uow.model_results.newest(version.model_id, job.job_id), key=lambda result: result.result_id):
        newest[result.conditions.suite_name] = result
    return CardContent(
        model_name=version.model_name,
        version=version.version,
        content_hash=version.content_hash,
        model_format=version.model_format,
        size_gb=version.model_size_gb,
        description=uow.models.description(version.model_id),
        dataset=uow.datasets.get(job.dataset_id),
        documents=sorted({PurePath(path).name for path in uow.datasets.source_paths(job.dataset_id)}),
        training=job.report,
        evaluation=shown,
        verdict=None if judged is None else judged[1],
        suites=[newest[name] for name in sorted(newest)],
        base_licence=base_licence(Path(version.base_model_path)),
        certificate=uow.certificates.newest(version.model_id),
        compression={} if job.report.compression is None else _compression(job.report.compression, shown),
    )


def _compression(facts: CompressionFacts, evaluation: EvaluationReport | None) -> dict[str, list[str]]:
    return {
        language: compression_lines(facts, language) if evaluation is None else cost_lines(facts, evaluation, language)
        for language in ("ko", "en")
    }


def write_card(version: ModelVersion, language: str, services: Services) -> str:
    """The card's text now."""
    with services.unit_of_work() as uow:
        return write_model_card(card_content(version, uow), language)


def write_cards(content: CardContent) -> dict[str, str]:
    """Both cards, by the names of their files."""
    return {KOREAN_CARD: write_model_card(content, "ko"), ENGLISH_CARD: write_model_card(content, "en")}


def base_licence(folder: Path) -> str | None:
    """What the base model's folder says of its licence: the front matter of its README, else its licence file's title."""
    readme = folder / "README.md"
    if readme.is_file():
        _, opened, rest = readme.read_text(encoding="utf-8", errors="replace")[:20_000].partition("---\n")
        found = _LICENCE_LINE.search(rest.partition("\n---")[0]) if opened else None
        if found is not None:
            return found.group(1)
    for name in _LICENCE_FILES:
        if (folder / name).is_file():
            lines = (folder / name).read_text(encoding="utf-8", errors="replace")[:2000].splitlines()
            return next((line.strip() for line in lines if line.strip()), name)[:200]
    return None
