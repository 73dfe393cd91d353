"""The pages for operators name what exists."""

import re
from pathlib import Path

import pytest

from cli.main import app
from settings import SecretName, Settings

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
OPERATIONS_PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMMANDS = {command.callback.__name__ for command in app.registered_commands if command.callback}


def defaults_of_rows():
    return dict(re.findall(r"^\| `(TUNEWAY_[A-Z0-9_]+)` \| ([^|]*) \|", SETTINGS_PAGE, flags=re.MULTILINE))


def test_every_setting_has_a_row_and_every_row_is_a_setting():
    assert set(defaults_of_rows()) == {f"TUNEWAY_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize(
    "name", ["host", "port_base", "model_server_backend", "gpu_slots", "language", "checkpoint_keep"]
)
def test_the_default_in_the_page_is_the_default(name):
    row = defaults_of_rows()[f"TUNEWAY_{name.upper()}"].strip().strip("`")
    assert row == str(Settings.model_fields[name].default)


def test_every_secret_is_explained():
    assert [name for name in SecretName if f"`{name.value}`" not in SETTINGS_PAGE] == []


def test_the_pages_name_existing_commands_only():
    named = set(re.findall(r"`tuneway ([a-z]+)", SETTINGS_PAGE + OPERATIONS_PAGE))
    assert named
    assert named <= COMMANDS
    assert {"up", "down", "status", "logs", "doctor", "restart", "migrate", "run", "stage", "airflow"} <= named
