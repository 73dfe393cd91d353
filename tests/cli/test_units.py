"""The units have the same processes as `tuneway up`, in the same order, and systemd takes them."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.programs import platform_programs
from cli.units import HARDENING, MIGRATE, TARGET, WRITTEN_BY, render_environment, render_units, unit_name, units
from contracts.errors import InvalidRequestError
from settings import Settings
from tests.cli.command_line import ROOT, tuneway

ANALYZE = shutil.which("systemd-analyze")


@pytest.fixture
def settings(tmp_path):
    from cli.secret_files import ensure_secrets

    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    ensure_secrets(settings)
    return settings


def parsed(text: str) -> configparser.RawConfigParser:
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    return unit


def test_every_program_of_the_platform_has_a_unit_and_starts_after_those_that_up_starts_before_it(settings):
    texts = render_units(settings, "tuneway")
    programs = platform_programs(settings)
    assert {unit_name(program.name) for program in programs} == texts.keys() - {
        TARGET, MIGRATE, "tuneway-model-servers.service",
    }  # fmt: skip
    for program in programs:
        unit = parsed(texts[unit_name(program.name)])
        after = unit["Unit"]["After"].split()
        assert {unit_name(other.name) for other in programs if other.priority < program.priority} <= set(after)
        assert unit["Service"]["ExecStart"] == f"{ROOT}/tuneway run {program.name}"
        assert unit["Service"]["KillSignal"] == f"SIG{program.stop_signal}"
        assert unit["Install"]["WantedBy"] == TARGET
        if program.name != "postgres":
            assert MIGRATE in after
            assert MIGRATE in unit["Unit"]["Requires"]
    assert set(parsed(texts[TARGET])["Unit"]["Wants"].split()) == texts.keys() - {TARGET}


def test_a_process_writes_into_the_data_folder_only_and_gains_no_right(settings):
    for name, text in render_units(settings, "tuneway").items():
        if name != TARGET:
            service = parsed(text)["Service"]
            assert service["User"] == "tuneway"
            assert service["ReadWritePaths"] == str(settings.data_dir)
            assert {key: service[key] for key in HARDENING} == HARDENING


def test_the_runners_jobs_outlive_it_and_nobody_elses_processes_do(settings):
    modes = {
        name: parsed(text)["Service"].get("KillMode")
        for name, text in render_units(settings, "a").items()
        if name != TARGET
    }
    assert modes.pop("tuneway-runner.service") == "process"
    assert modes.pop("tuneway-postgres.service") == "mixed"
    assert modes.pop("tuneway-model-servers.service") == "mixed"
    assert modes.pop(MIGRATE) is None
    assert set(modes.values()) == {"control-group"}


def test_a_service_of_the_sites_own_has_no_unit(settings):
    elsewhere = settings.model_copy(
        update={"database_url": "postgresql+psycopg://db/tuneway", "mlflow_tracking_url": "http://mlflow"}
    )
    elsewhere = elsewhere.model_copy(update={"airflow_database_url": "x", "mlflow_database_url": "x"})
    texts = render_units(elsewhere, "tuneway")
    assert not {"tuneway-postgres.service", "tuneway-mlflow.service"} & texts.keys()
    assert "Requires" not in parsed(texts[MIGRATE])["Unit"]


def test_a_setting_arrives_as_it_is(settings, monkeypatch):
    value = r'["C:\\models", "$HOME `x` 100%"]'
    monkeypatch.setenv("TUNEWAY_MODEL_ROOTS", value)
    line = next(line for line in render_environment(settings).splitlines() if line.startswith("TUNEWAY_MODEL_ROOTS="))
    # double quotes of systemd and of a shell take the same escapes
    shown = subprocess.run(
        ["sh", "-c", f'{line}; printf %s "$TUNEWAY_MODEL_ROOTS"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == value


def test_the_command_writes_the_files_keeps_the_settings_closed_and_removes_what_is_no_more(tmp_path):
    folder = tmp_path / "units"
    folder.mkdir()
    (folder / "tuneway-old.service").write_text(f"{WRITTEN_BY}\n", encoding="utf-8")
    (folder / "tuneway-own.service").write_text("[Unit]\n", encoding="utf-8")
    variables = {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": "postgresql+psycopg://u:hunter2@db/tuneway"}
    variables |= {"AIRFLOW_DATABASE_URL": "postgresql://x", "MLFLOW_DATABASE_URL": "postgresql://x"}
    (tmp_path / "data").mkdir()
    ended = tuneway("units", "--directory", str(folder), "--user", "tuneway", timeout=120, **variables)
    assert ended.returncode == 0, ended.stderr
    assert not (folder / "tuneway-old.service").exists()
    assert (folder / "tuneway-own.service").exists()
    assert (folder / "tuneway.env").stat().st_mode & 0o777 == 0o600
    assert "hunter2" in (folder / "tuneway.env").read_text(encoding="utf-8")
    assert not any("hunter2" in path.read_text(encoding="utf-8") for path in folder.glob("*.service"))


def test_nothing_runs_as_root(tmp_path):
    with pytest.raises(InvalidRequestError, match="does not run as root"):
        units(tmp_path, account="root")


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze (Debian: systemd)")
def test_systemd_takes_the_units(settings, tmp_path):
    for name, text in render_units(settings, "tuneway").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [str(path) for path in sorted(tmp_path.glob("tuneway*.*"))]
    ended = subprocess.run([str(ANALYZE), "verify", "--man=no", *files], capture_output=True, text=True, check=False)
    assert (ended.returncode, [line for line in ended.stderr.splitlines() if "tuneway" in line]) == (0, [])
    # a mistake would be found
    broken = Path(files[0])
    broken.write_text(broken.read_text(encoding="utf-8").replace("ProtectSystem=strict", "ProtectSytem=strict"))
    ended = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", str(broken)], capture_output=True, text=True, check=False
    )
    assert "ProtectSytem" in ended.stderr
