"""What differs between the two registries, told without a server."""

from typing import Any

from contracts.enums import CataloguePart
from registry.catalog import CONTENT_TAG, CatalogVersion
from registry.mirror import WantedModel, WantedVersion, differences


def there(number: str, content: str, aliases: tuple[str, ...] = (), **tags: str) -> CatalogVersion:
    """An entry of MLflow."""
    own = {CONTENT_TAG: content, **{f"tuneway.{name}": value for name, value in tags.items()}}
    return CatalogVersion("assistant", number, "runs:/1/registered", "1", own, list(aliases), "# card")


def wanted(*versions: WantedVersion, **aliases: str) -> WantedModel:
    return WantedModel("assistant", list(versions), aliases)


def version(number: str, content: str, **changes: Any) -> WantedVersion:
    given: dict[str, Any] = {
        "uri": f"models:/assistant/{number}",
        "tags": {CONTENT_TAG: content, "tuneway.status": "staging"},
        "description": "# card",
        **changes,
    }
    return WantedVersion(number, content, **given)


def told(model: WantedModel, found: list[CatalogVersion]) -> list[tuple[CataloguePart, str, str]]:
    return [(found.part, found.version, found.key) for found in differences(model, found)]


def test_what_is_equal_has_no_differences():
    found = [there("1", "aa", ("production", "champion"), status="staging")]
    assert told(wanted(version("1", "aa"), production="aa", champion="aa"), found) == []


def test_a_missing_an_unknown_and_a_doubled_version_are_told_apart():
    found = [there("3", "aa", status="staging"), there("1", "aa", status="staging"), there("2", "zz")]
    model = wanted(version("1", "aa"), version("2", "bb"))
    assert told(model, found) == [
        (CataloguePart.VERSION, "2", ""),
        (CataloguePart.VERSION, "3", ""),
        (CataloguePart.VERSION, "2", ""),
    ]
    missing, doubled, unknown = differences(model, found)
    assert (missing.postgresql, missing.mlflow) == ("bb", None)
    assert (doubled.postgresql, doubled.mlflow) == (None, "aa")
    assert (unknown.postgresql, unknown.mlflow) == (None, "zz")


def test_tags_uri_description_and_aliases_are_compared_and_those_of_people_are_not():
    entry = there("7", "aa", ("previous", "favourite"), status="production", extra="x")
    entry.tags["note"] = "nice"
    assert told(wanted(version("1", "aa", description="# other"), staging="aa"), [entry]) == [
        (CataloguePart.URI, "1", ""),
        (CataloguePart.TAG, "1", "tuneway.extra"),
        (CataloguePart.TAG, "1", "tuneway.status"),
        (CataloguePart.DESCRIPTION, "1", ""),
        (CataloguePart.ALIAS, "", "staging"),
        (CataloguePart.ALIAS, "", "previous"),
    ]


def test_a_card_longer_than_mlflow_takes_is_equal_to_its_beginning():
    entry = CatalogVersion("assistant", "1", "", None, {CONTENT_TAG: "aa", "tuneway.status": "staging"}, [], "x" * 5000)
    assert told(wanted(version("1", "aa", description="x" * 9000)), [entry]) == []
