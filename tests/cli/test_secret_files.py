"""Secrets are random, private and made once."""

import pytest
from cryptography.fernet import Fernet

from cli.secret_files import ensure_secrets, write_airflow_urls
from contracts.errors import InvalidRequestError
from settings import SecretName, Settings, read_secret, refuse_weak_secrets


def mode(path):
    return path.stat().st_mode & 0o777


def test_every_secret_is_made_with_at_least_32_random_bytes_and_private(tmp_path):
    settings = Settings(data_dir=tmp_path)
    assert set(ensure_secrets(settings)) == set(SecretName)
    assert mode(settings.secrets_dir) == 0o700
    assert {mode(path) for path in settings.secrets_dir.iterdir()} == {0o600}
    values = [read_secret(settings.secrets_dir, name) for name in SecretName]
    assert len(set(values)) == len(values)
    # 43 characters of base64 are 32 bytes
    assert min(len(value) for value in values) >= 43


def test_two_installations_have_different_secrets(tmp_path):
    first, second = Settings(data_dir=tmp_path / "a"), Settings(data_dir=tmp_path / "b")
    ensure_secrets(first)
    ensure_secrets(second)
    for name in SecretName:
        assert read_secret(first.secrets_dir, name) != read_secret(second.secrets_dir, name)


def test_a_second_start_keeps_the_secrets_and_closes_what_was_opened(tmp_path):
    settings = Settings(data_dir=tmp_path)
    ensure_secrets(settings)
    before = {path.name: path.read_text(encoding="utf-8") for path in settings.secrets_dir.iterdir()}
    (settings.secrets_dir / "token_key").chmod(0o644)
    assert ensure_secrets(settings) == []
    assert {path.name: path.read_text(encoding="utf-8") for path in settings.secrets_dir.iterdir()} == before
    assert mode(settings.secrets_dir / "token_key") == 0o600


def test_in_production_a_missing_weak_or_open_secret_is_refused_without_being_told(tmp_path):
    settings = Settings(data_dir=tmp_path)
    refuse_weak_secrets(settings.secrets_dir, may_be_new=True)
    ensure_secrets(settings)
    refuse_weak_secrets(settings.secrets_dir)
    (settings.secrets_dir / "runner_token").unlink()
    (settings.secrets_dir / "token_key").write_text("changeme", encoding="utf-8")
    (settings.secrets_dir / "assignment_key").write_text("ab" * 30, encoding="utf-8")
    (settings.secrets_dir / "airflow_api_secret").chmod(0o644)
    with pytest.raises(InvalidRequestError) as refused:
        refuse_weak_secrets(settings.secrets_dir, may_be_new=True)
    assert refused.value.value == (
        "airflow_api_secret: readable by others, runner_token: missing, token_key: 8 characters, "
        "assignment_key: 2 different characters"
    )


def test_the_fernet_key_encrypts(tmp_path):
    settings = Settings(data_dir=tmp_path)
    ensure_secrets(settings)
    key = Fernet(read_secret(settings.secrets_dir, SecretName.AIRFLOW_FERNET_KEY))
    assert key.decrypt(key.encrypt(b"password")) == b"password"


def test_the_database_url_of_airflow_is_a_private_file(tmp_path):
    settings = Settings(data_dir=tmp_path)
    ensure_secrets(settings)
    write_airflow_urls(settings)
    path = settings.secrets_dir / "airflow_database_url"
    assert path.read_text(encoding="utf-8") == settings.resolved_airflow_database_url
    assert mode(path) == 0o600
