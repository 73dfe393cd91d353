"""MLflow's registry kept equal to PostgreSQL's, name by name."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.enums import CataloguePart, ModelStatus
from contracts.errors import UnavailableError
from contracts.evaluation import AccuracyLost
from contracts.record import JsonObject
from registry.catalog import (
    CHALLENGER,
    CHAMPION,
    CONTENT_TAG,
    PATH_TAG,
    PREVIOUS,
    PRODUCTION,
    STAGING,
    read_versions,
    register_version,
    replace_cards,
)
from registry.mirror import STATUS_TAG, WantedModel, WantedVersion, by_content, differences, make_equal
from registry.model_files import MANIFEST_FILE
from stages.evaluate import training_run
from stages.model_cards import KOREAN_CARD, card_content, write_cards
from storage.files import read_json

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from contracts.registry import CatalogueDifference
    from database.unit_of_work import UnitOfWork
    from stages.services import Services

log = logging.getLogger(__name__)


def mirror(
    model_name: str, services: Services, *, with_cards_of: Collection[int] = (), all_cards: bool = False
) -> list[CatalogueDifference]:
    """Make MLflow show what PostgreSQL has under this name, and say what differed.

    `with_cards_of`: versions whose model cards are written anew too. Safe to repeat, after a kill, and beside another
    one: they go one after the other, each with what PostgreSQL has by then. Raises UnavailableError without MLflow.
    """
    url = services.settings.resolved_mlflow_tracking_url
    with services.unit_of_work() as uow:
        uow.models.lock_catalogue(model_name)
        versions = _versions(model_name, uow)
        described = {version.model_id for version in versions} if all_cards else set(with_cards_of)
        wanted, cards = _wanted(model_name, versions, described, uow)
        before = differences(wanted, read_versions(url, model_name))
        for difference in before:
            if difference.part is CataloguePart.VERSION and difference.mlflow is None:
                version = next(version for version in versions if version.version == difference.version)
                cards.setdefault(version.model_id, write_cards(card_content(version, uow)))
                _enter(version, wanted, cards[version.model_id], services)
        entered = by_content(read_versions(url, model_name))
        for version in versions:
            there = entered.get(version.content_hash)
            if there is not None and version.mlflow_model_uri != there.uri:
                uow.models.set_mlflow_uri(version.model_id, there.uri)
        stale = {difference.version for difference in before if difference.part is CataloguePart.DESCRIPTION}
        for version in versions:
            if version.version in stale and version.finetuning_job_id is not None:
                run_id = training_run(version.finetuning_job_id, services)
                replace_cards(url, run_id, Path(version.model_path), cards[version.model_id])
        make_equal(url, wanted)
    return before


def refresh_card(model_id: int, services: Services) -> None:
    """The version's card in MLflow, with the evaluations of now. Without MLflow it stays as it is until `repair`."""
    with services.unit_of_work() as uow:
        version = uow.models.get(model_id)
    if version.finetuning_job_id is None:
        return
    try:
        mirror(version.model_name, services, with_cards_of=[model_id])
    except UnavailableError as error:
        log.warning(
            "MLflow lacks the newest card of %s %s, `tuneway model repair` adds it: %s",
            version.model_name,
            version.version,
            error,
        )


def compare_catalogues(model_name: str, services: Services) -> list[CatalogueDifference]:
    """In what MLflow differs from PostgreSQL under this name; nothing is changed. Raises UnavailableError without MLflow."""
    with services.unit_of_work() as uow:
        versions = _versions(model_name, uow)
        wanted, _ = _wanted(model_name, versions, {version.model_id for version in versions}, uow)
    return differences(wanted, read_versions(services.settings.resolved_mlflow_tracking_url, model_name))


def _versions(model_name: str, uow: UnitOfWork) -> list[ModelVersion]:
    """Those that MLflow is to have: made by a job of ours."""
    return [version for version in uow.models.of_name(model_name) if version.finetuning_job_id is not None]


def _wanted(
    model_name: str, versions: list[ModelVersion], described: Collection[int], uow: UnitOfWork
) -> tuple[WantedModel, dict[int, dict[str, str]]]:
    cards = {
        version.model_id: write_cards(card_content(version, uow))
        for version in versions
        if version.model_id in described
    }
    wanted = [
        WantedVersion(
            version=version.version,
            content_hash=version.content_hash,
            uri=version.mlflow_model_uri,
            tags=_tags(version, read_json(Path(version.model_path) / MANIFEST_FILE) or {}, uow),
            description=cards[version.model_id][KOREAN_CARD] if version.model_id in cards else None,
        )
        for version in versions
    ]
    return WantedModel(name=model_name, versions=wanted, aliases=_aliases(model_name, versions, uow)), cards


def _aliases(model_name: str, versions: list[ModelVersion], uow: UnitOfWork) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for version in versions:
        if version.status is ModelStatus.PRODUCTION:
            aliases |= dict.fromkeys((PRODUCTION, CHAMPION), version.content_hash)
        elif version.status is ModelStatus.STAGING:
            # they come oldest first: the newest one stays
            aliases |= dict.fromkeys((STAGING, CHALLENGER), version.content_hash)
    before = uow.promotions.previous(model_name)
    for version in versions:
        if version.model_id == before:
            aliases[PREVIOUS] = version.content_hash
    return aliases


def _tags(version: ModelVersion, manifest: JsonObject, uow: UnitOfWork) -> dict[str, str]:
    dataset, verdict, compression = (_part(manifest, name) for name in ("dataset", "verdict", "compression"))
    tags = {
        "tuneway.version": version.version,
        STATUS_TAG: version.status.value,
        CONTENT_TAG: version.content_hash,
        PATH_TAG: version.model_path,
        "tuneway.job_id": str(version.finetuning_job_id),
        "tuneway.base_model": version.base_model,
        "tuneway.format": version.model_format.value,
    }
    if dataset:
        tags["tuneway.dataset_version"] = f"{dataset['name']} {dataset['version']}"
    if verdict:
        tags["tuneway.evaluation_id"] = str(verdict["evaluation_id"])
        tags["tuneway.accuracy"] = f"{verdict['accuracy']:.4f}"
    if compression:
        tags["tuneway.compression"] = str(compression["method"])
        tags["tuneway.parent_job_id"] = str(compression["parent_job_id"])
        tags["tuneway.parent_version"] = str(compression.get("parent_version") or "")
        tags |= _cost_tags(compression)
    given = uow.models.tags(version.model_id)
    if given:
        tags["tuneway.tags"] = json.dumps(given, ensure_ascii=False)
    return tags


def _cost_tags(compression: JsonObject) -> dict[str, str]:
    """What the compression costs on its main suite; none of versions from before costs were kept."""
    costs = compression.get("costs")
    if not isinstance(costs, list) or not costs:
        return {}
    main = AccuracyLost.model_validate(costs[0])
    return {
        "tuneway.accuracy_lost": f"{main.lost:.4f}",
        "tuneway.accuracy_lost_interval": f"{main.interval.lower:.4f} to {main.interval.upper:.4f}",
        "tuneway.accuracy_lost_suite": f"{main.suite} ({main.suite_sha256[:12]})",
    }


def _part(manifest: JsonObject, name: str) -> JsonObject:
    value = manifest.get(name)
    return value if isinstance(value, dict) else {}


def _enter(version: ModelVersion, wanted: WantedModel, cards: dict[str, str], services: Services) -> None:
    assert version.finetuning_job_id is not None
    folder = Path(version.model_path)
    tags = next(entry.tags for entry in wanted.versions if entry.content_hash == version.content_hash)
    register_version(
        services.settings.resolved_mlflow_tracking_url,
        model_name=version.model_name,
        run_id=training_run(version.finetuning_job_id, services),
        manifest=folder / MANIFEST_FILE,
        model_path=folder,
        cards=cards,
        description=cards[KOREAN_CARD],
        content_hash=version.content_hash,
        tags=tags,
    )
