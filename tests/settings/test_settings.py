"""Where things are."""

import re
from pathlib import Path

import pytest

from contracts.errors import InvalidRequestError, NotFoundError
from settings import SecretName, Settings, load_settings, read_secret
from tests.conftest import REPOSITORY_ROOT


def test_one_dial_moves_every_port(monkeypatch):
    monkeypatch.setenv("TUNEWAY_PORT_BASE", "30000")
    monkeypatch.setenv("TUNEWAY_MLFLOW_PORT", "5000")
    ports = load_settings().ports
    assert ports["mlflow"] == 5000
    assert {name: port - 30000 for name, port in ports.items() if name != "mlflow"} == {
        name: port - 18000
        for name, port in Settings(port_base=18000, mlflow_port=None).ports.items()
        if name != "mlflow"
    }
    assert len(set(ports.values())) == len(ports)


def test_a_wrong_setting_is_named_with_its_value(monkeypatch):
    monkeypatch.setenv("TUNEWAY_PORT_BASE", "99999")
    with pytest.raises(InvalidRequestError, match="TUNEWAY_PORT_BASE") as caught:
        load_settings()
    assert caught.value.value == "99999"


def test_nothing_listens_beyond_this_machine_by_default():
    assert Settings().host == "127.0.0.1"


def test_a_child_process_loads_the_same_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("TUNEWAY_GPU_SLOTS", "3")
    parent = Settings(data_dir=tmp_path, port_base=31000)
    for name, value in parent.as_environment().items():
        monkeypatch.setenv(name, value)
    child = load_settings()
    assert (child.data_dir, child.ports, child.gpu_slots) == (tmp_path, parent.ports, 3)


def test_a_secret_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(NotFoundError, match="tuneway up"):
        read_secret(tmp_path, SecretName.RUNNER_TOKEN)


def test_every_setting_is_documented():
    page = (REPOSITORY_ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"TUNEWAY_{name.upper()}" not in page]
    assert missing == []


def test_only_the_settings_package_reads_the_environment():
    offenders = []
    packages = [path.parent for path in REPOSITORY_ROOT.glob("*/__init__.py")]
    assert len(packages) > 10
    for package in packages:
        if package.name in {"settings", "tests"}:
            continue
        for path in package.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if re.search(r"""(os\.getenv|environ(\.get\(|\[))\s*\(?["']TUNEWAY_""", text):
                offenders.append(str(Path(path).relative_to(REPOSITORY_ROOT)))
    assert offenders == []
