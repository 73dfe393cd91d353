"""MLflow's model registry: versions with their source, tags, card and aliases."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import NotFoundError
from registry.client import mlflow_errors, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

PRODUCTION, CHAMPION = "production", "champion"
"""Aliases of the version in production; given at promotion only."""
STAGING, CHALLENGER = "staging", "challenger"
"""Aliases of the newest version in staging: it passed the gate and may be promoted."""
PREVIOUS = "previous"
"""The alias of the version that a rollback brings back."""
OWN_ALIASES = (PRODUCTION, CHAMPION, STAGING, CHALLENGER, PREVIOUS)
CONTENT_TAG = "tuneway.content_hash"
PATH_TAG = "tuneway.model_path"
LONGEST_DESCRIPTION = 5000
"""Characters that MLflow's table takes."""


@dataclass(frozen=True, slots=True)
class CatalogVersion:
    """A version as MLflow's registry has it."""

    name: str
    version: str
    source: str
    run_id: str | None
    tags: dict[str, str]
    aliases: list[str]
    description: str

    @property
    def uri(self) -> str:
        """`models:/<name>/<version>`."""
        return f"models:/{self.name}/{self.version}"


def _version(found: Any) -> CatalogVersion:
    return CatalogVersion(
        name=str(found.name),
        version=str(found.version),
        source=str(found.source),
        run_id=found.run_id or None,
        tags=dict(found.tags),
        aliases=list(found.aliases),
        description=found.description or "",
    )


def _ensure_model(client: MlflowClient, model_name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _find_by_content(client: MlflowClient, model_name: str, content_hash: str) -> CatalogVersion | None:
    for found in client.search_model_versions(f"name='{model_name}'", max_results=10_000):
        if found.tags.get(CONTENT_TAG) == content_hash:
            # searching leaves the aliases out
            return _version(client.get_model_version(model_name, found.version))
    return None


def register_version(
    tracking_url: str,
    *,
    model_name: str,
    run_id: str,
    manifest: Path,
    model_path: Path,
    cards: Mapping[str, str],
    description: str,
    content_hash: str,
    tags: Mapping[str, str],
) -> CatalogVersion:
    """Register the immutable folder `model_path` as a version of `model_name`; the same content again is the same version.

    MLflow does not copy the weights: its source is the manifest and the model cards (by file name) on the training run,
    and a tag names the folder. Raises UnavailableError while MLflow does not answer.
    """
    client = open_client(tracking_url)
    with mlflow_errors("The model version cannot be registered", tracking_url):
        _ensure_model(client, model_name)
        present = _find_by_content(client, model_name, content_hash)
        if present is not None:
            return present
        artifact_folder = f"registered/{model_path.name}"
        client.log_artifact(run_id, str(manifest), artifact_folder)
        _log_cards(client, run_id, artifact_folder, cards)
        created = client.create_model_version(
            model_name,
            source=f"runs:/{run_id}/{artifact_folder}",
            run_id=run_id,
            tags={**tags, CONTENT_TAG: content_hash, PATH_TAG: str(model_path)},
            description=description[:LONGEST_DESCRIPTION],
            await_creation_for=0,
        )
        return _version(client.get_model_version(model_name, created.version))


def _log_cards(client: MlflowClient, run_id: str, artifact_folder: str, cards: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in cards.items():
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            client.log_artifact(run_id, str(path), artifact_folder)


def replace_cards(tracking_url: str, run_id: str, model_path: Path, cards: Mapping[str, str]) -> None:
    """Put newer model cards where `register_version` put the first ones."""
    with mlflow_errors("The model card cannot be stored", tracking_url):
        _log_cards(open_client(tracking_url), run_id, f"registered/{model_path.name}", cards)


def read_versions(tracking_url: str, model_name: str) -> list[CatalogVersion]:
    """Every version of a name with its aliases; none where MLflow does not know the name."""
    client = open_client(tracking_url)
    try:
        with mlflow_errors("The model's versions cannot be read", tracking_url):
            aliases: dict[str, list[str]] = {}
            for alias, version in client.get_registered_model(model_name).aliases.items():
                aliases.setdefault(str(version), []).append(alias)
            found, token = [], None
            while True:
                page = client.search_model_versions(f"name='{model_name}'", max_results=1000, page_token=token)
                # searching leaves the aliases out
                found += [replace(_version(entry), aliases=aliases.get(str(entry.version), [])) for entry in page]
                token = page.token
                if not token:
                    return found
    except NotFoundError:
        return []


def set_alias(tracking_url: str, model_name: str, alias: str, version: str) -> None:
    """Point the alias at the version, away from any other."""
    with mlflow_errors(f"The alias {alias} cannot be set", tracking_url):
        open_client(tracking_url).set_registered_model_alias(model_name, alias, version)


def get_version(tracking_url: str, model_name: str, version_or_alias: str) -> CatalogVersion:
    """A version by its number or alias. Raises NotFoundError."""
    client = open_client(tracking_url)
    try:
        with mlflow_errors("The model version cannot be read", tracking_url):
            version = version_or_alias
            if not version.isdigit():
                version = client.get_registered_model(model_name).aliases.get(version_or_alias, "")
            if version:
                return _version(client.get_model_version(model_name, version))
    except NotFoundError as error:
        raise _no_such_version(model_name, version_or_alias) from error
    raise _no_such_version(model_name, version_or_alias)


def _no_such_version(model_name: str, version_or_alias: str) -> NotFoundError:
    return NotFoundError(
        "MLflow's registry has no such model version",
        value=f"{model_name} {version_or_alias}",
        next_step="look at the registered models in the MLflow page",
    )
