"""MLflow's registry made to show what PostgreSQL has: every tag and alias of ours is derived, none is the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.enums import CataloguePart
from contracts.registry import CatalogueDifference
from registry.catalog import CONTENT_TAG, LONGEST_DESCRIPTION, OWN_ALIASES, CatalogVersion, read_versions
from registry.client import mlflow_errors, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

OWN_TAGS = "tuneway."
"""What begins so is ours; other tags and aliases are people's and stay."""
STATUS_TAG = "tuneway.status"


@dataclass(frozen=True, slots=True)
class WantedVersion:
    """A version as PostgreSQL has it."""

    version: str
    content_hash: str
    uri: str | None
    tags: dict[str, str]
    description: str | None
    """None where it is not to be compared."""


@dataclass(frozen=True, slots=True)
class WantedModel:
    """A name as PostgreSQL has it."""

    name: str
    versions: list[WantedVersion]
    aliases: dict[str, str]
    """Content hash by alias."""


def differences(wanted: WantedModel, found: list[CatalogVersion]) -> list[CatalogueDifference]:
    """Everything of ours in which MLflow differs, in the order of the versions."""
    return [*_version_differences(wanted, found), *_alias_differences(wanted, found)]


def _version_differences(wanted: WantedModel, found: list[CatalogVersion]) -> Iterator[CatalogueDifference]:
    def differs(
        version: str, part: CataloguePart, key: str, postgresql: str | None, mlflow: str | None
    ) -> CatalogueDifference:
        return CatalogueDifference(
            model_name=wanted.name, version=version, part=part, key=key, postgresql=postgresql, mlflow=mlflow
        )

    entries = by_content(found)
    for version in wanted.versions:
        there = entries.get(version.content_hash)
        if there is None:
            yield differs(version.version, CataloguePart.VERSION, "", version.content_hash, None)
            continue
        if version.uri != there.uri:
            yield differs(version.version, CataloguePart.URI, "", version.uri, there.uri)
        own = {key: value for key, value in there.tags.items() if key.startswith(OWN_TAGS)}
        for key in sorted({*own, *version.tags}):
            if own.get(key) != version.tags.get(key):
                yield differs(version.version, CataloguePart.TAG, key, version.tags.get(key), own.get(key))
        if version.description is not None and version.description[:LONGEST_DESCRIPTION] != there.description:
            yield differs(
                version.version,
                CataloguePart.DESCRIPTION,
                "",
                _first_line(version.description),
                _first_line(there.description),
            )
    known = {version.content_hash for version in wanted.versions}
    for there in found:
        content_hash = there.tags.get(CONTENT_TAG)
        if content_hash is not None and (content_hash not in known or entries[content_hash] is not there):
            yield differs(there.version, CataloguePart.VERSION, "", None, content_hash)


def _alias_differences(wanted: WantedModel, found: list[CatalogVersion]) -> Iterator[CatalogueDifference]:
    pointed = {alias: there for there in found for alias in there.aliases}
    ours = {version.content_hash: version.version for version in wanted.versions}
    for alias in OWN_ALIASES:
        content_hash, there = wanted.aliases.get(alias), pointed.get(alias)
        if content_hash != (None if there is None else there.tags.get(CONTENT_TAG, there.version)):
            yield CatalogueDifference(
                model_name=wanted.name,
                version="",
                part=CataloguePart.ALIAS,
                key=alias,
                postgresql=None if content_hash is None else ours[content_hash],
                mlflow=None if there is None else there.tags.get("tuneway.version", there.uri),
            )


def make_equal(tracking_url: str, wanted: WantedModel) -> list[CatalogueDifference]:
    """Bring MLflow to what PostgreSQL has, as far as a version is there. Returns what differed before.

    A version that PostgreSQL has and MLflow has not is among the differences, and left to whoever knows its files. A
    version with our content tag that PostgreSQL has not is removed: MLflow holds no weights. Safe to repeat and after a kill.
    """
    found = read_versions(tracking_url, wanted.name)
    differing = differences(wanted, found)
    if not differing:
        return []
    client = open_client(tracking_url)
    entries = by_content(found)
    numbers = {version.version: version for version in wanted.versions}
    with mlflow_errors(f"MLflow's entries of {wanted.name} cannot be mended", tracking_url):
        for difference in differing:
            if difference.part is CataloguePart.VERSION and difference.postgresql is None:
                client.delete_model_version(wanted.name, difference.version)
            elif difference.part in {CataloguePart.TAG, CataloguePart.DESCRIPTION}:
                version = numbers[difference.version]
                _mend(client, difference, version, wanted.name, entries[version.content_hash].version)
        for difference in differing:
            if difference.part is CataloguePart.ALIAS:
                there = entries.get(wanted.aliases.get(difference.key, ""))
                if there is not None:
                    client.set_registered_model_alias(wanted.name, difference.key, there.version)
                elif difference.mlflow is not None:
                    client.delete_registered_model_alias(wanted.name, difference.key)
    return differing


def _mend(
    client: MlflowClient, difference: CatalogueDifference, version: WantedVersion, name: str, mlflow_version: str
) -> None:
    if difference.part is CataloguePart.DESCRIPTION:
        client.update_model_version(name, mlflow_version, (version.description or "")[:LONGEST_DESCRIPTION])
    elif difference.postgresql is None:
        client.delete_model_version_tag(name, mlflow_version, difference.key)
    else:
        client.set_model_version_tag(name, mlflow_version, difference.key, difference.postgresql)


def by_content(found: list[CatalogVersion]) -> dict[str, CatalogVersion]:
    """The oldest entry of each content: a second one is the leftover of two registrations at once."""
    entries: dict[str, CatalogVersion] = {}
    for there in sorted(found, key=lambda entry: int(entry.version)):
        if CONTENT_TAG in there.tags:
            entries.setdefault(there.tags[CONTENT_TAG], there)
    return entries


def _first_line(text: str) -> str:
    return f"{text.partition(chr(10))[0][:80]} ({len(text):,})"
