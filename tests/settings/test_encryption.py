"""The keys of an installation, as its settings say."""

from pathlib import Path

import pytest

from contracts.errors import InvalidRequestError, KeyUnavailableError
from settings import Settings
from settings.encryption import key_file, open_keyring, scope_of
from storage.encryption.key_keepers import make_key_file


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("datasets/versions/civil.2025/objects/aa/aa.parquet", "dataset/civil.2025"),
        ("datasets/imports/civil-qa-0123456789abcdef/rows.parquet", "dataset/civil-qa"),
        (
            "datasets/imports/.civil-qa-0123456789abcdef.0123456789abcdef0123456789abcdef.tmp/rows.parquet",
            "dataset/civil-qa",
        ),
        ("datasets/preferences/pairs/x/train.parquet", "dataset/pairs"),
        ("datasets/generations/docs/1/rows.jsonl", "dataset/docs"),
        ("suites/abc/core@1.jsonl", "suites"),
        ("replays/3-1/answers.jsonl", "traffic"),
    ],
)
def test_a_file_belongs_to_its_dataset_else_to_its_folder(path: str, scope: str) -> None:
    assert scope_of(Path(path)) == scope


def test_the_first_key_is_made_when_it_is_needed_and_never_a_second_one(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    key = open_keyring(settings).current_key("dataset/a")
    assert key_file(settings).stat().st_mode & 0o777 == 0o400
    assert open_keyring(settings).current_key("dataset/a") == key
    key_file(settings).unlink()
    with pytest.raises(KeyUnavailableError, match="is gone, and files are encrypted by it"):
        open_keyring(settings)


def test_a_key_file_that_the_site_names_is_never_made_for_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", key_file=tmp_path / "site-keys")
    with pytest.raises(KeyUnavailableError, match="cannot be read"):
        open_keyring(settings)
    make_key_file(tmp_path / "site-keys")
    assert open_keyring(settings).keeper.newest() == "file:1"


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"key_keeper": "environment"}, "TUNEWAY_KEY_ENCRYPTION_KEYS"),
        ({"key_keeper": "vault"}, "TUNEWAY_VAULT_URL"),
        ({"key_keeper": "vault", "vault_url": "https://vault.example:8200"}, "TUNEWAY_VAULT_TOKEN_FILE"),
    ],
)
def test_what_a_keeper_needs_is_named(tmp_path: Path, given: dict[str, str], missing: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"{missing} is missing"):
        open_keyring(Settings.model_validate({"data_dir": tmp_path, **given}))


def test_in_production_the_key_lies_elsewhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    beside = {"data_dir": data, "production": True}
    for given in (beside, {**beside, "key_file": data / "keys"}, {**beside, "key_keeper": "environment"}):
        with pytest.raises(InvalidRequestError, match="does not lie beside what it protects"):
            open_keyring(Settings.model_validate(given))
    make_key_file(tmp_path / "keys")
    settings = Settings.model_validate({**beside, "key_file": tmp_path / "keys"})
    assert open_keyring(settings).keeper.newest() == "file:1"
