"""The rendered configuration, as supervisord itself reads it."""

import configparser
import sys
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from cli.programs import airflow_environment, platform_programs, program_named
from cli.secret_files import ensure_secrets
from cli.supervisor_config import programs_dir, render_configuration
from settings import SecretName, Settings, read_secret

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def settings(tmp_path):
    found = Settings(data_dir=tmp_path / "a 100% data folder", port_base=21500, cerbos_binary=Path(sys.executable))
    ensure_secrets(found)
    found.logs_dir.mkdir(parents=True)
    programs_dir(found).mkdir(parents=True)
    return found


def as_read_by_supervisord(settings):
    path = settings.run_dir / "supervisord.conf"
    path.write_text(render_configuration(settings), encoding="utf-8")
    options = ServerOptions()
    options.realize(["-c", str(path)])
    return options


def programs_of(options):
    return {group.name: group.process_configs[0] for group in options.process_group_configs}


def test_supervisord_reads_every_program(settings):
    assert set(programs_of(as_read_by_supervisord(settings))) == {
        "postgres",
        "cerbos",
        "mlflow",
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
        "runner",
        "serving-api",
        "dashboard",
    }


def test_a_folder_with_blanks_and_percent_signs_survives(settings):
    programs = programs_of(as_read_by_supervisord(settings))
    assert programs["mlflow"].stdout_logfile == str(settings.logs_dir / "mlflow.log")
    assert str(settings.data_dir / "mlflow" / "artifacts") in programs["mlflow"].command


def test_programs_that_deployment_adds_are_taken_up(settings):
    (programs_dir(settings) / "model-server.conf").write_text(
        "[program:model-server]\ncommand=/bin/true\n", encoding="utf-8"
    )
    assert "model-server" in programs_of(as_read_by_supervisord(settings))


def test_the_jobs_of_the_runner_outlive_it_and_the_schedulers_workers_do_not(settings):
    programs = programs_of(as_read_by_supervisord(settings))
    assert not programs["runner"].stopasgroup
    assert not programs["runner"].killasgroup
    assert programs["airflow-scheduler"].stopasgroup
    assert programs["airflow-scheduler"].killasgroup


def test_postgresql_starts_first_and_stops_last(settings):
    programs = programs_of(as_read_by_supervisord(settings))
    assert min(programs.values(), key=lambda program: program.priority).name == "postgres"


def test_every_program_is_restarted_and_its_log_rotated(settings):
    for program in programs_of(as_read_by_supervisord(settings)).values():
        assert program.autorestart is not False
        assert 0 < program.stdout_logfile_maxbytes <= 50_000_000
        assert program.redirect_stderr


def test_no_secret_of_airflow_or_of_postgresql_stands_in_a_command_line(settings):
    secrets = [read_secret(settings.secrets_dir, name) for name in SecretName]
    for program in platform_programs(settings):
        assert not [secret for secret in secrets if secret in " ".join(program.command)]


def test_the_environment_of_airflow_holds_no_secret(settings):
    values = " ".join(airflow_environment(settings).values())
    assert not [name for name in SecretName if read_secret(settings.secrets_dir, name) in values]


def test_everything_listens_on_the_address_of_the_settings(settings):
    commands = {program.name.value: program for program in platform_programs(settings)}
    assert "127.0.0.1" in commands["mlflow"].command
    # it reads the address of the settings itself
    assert commands["dashboard"].command[-2:] == ("-m", "dashboard")
    assert commands["airflow-api-server"].environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert "--skip-serve-logs" in commands["airflow-scheduler"].command
    assert "--skip-serve-logs" in commands["airflow-triggerer"].command


def test_the_decision_point_listens_on_the_loopback_address_whatever_the_settings_say(settings):
    program = program_named("cerbos", platform_programs(settings.model_copy(update={"host": "0.0.0.0"})))
    assert [part for part in program.command if "Addr=" in part] == [
        "--set=server.httpListenAddr=127.0.0.1:21560",
        "--set=server.grpcListenAddr=127.0.0.1:21561",
    ]


def test_a_service_of_the_site_is_not_started_here(tmp_path):
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql+psycopg://u:p@db/tuneway",
        airflow_database_url="postgresql+psycopg2://u:p@db/airflow",
        mlflow_database_url="postgresql+psycopg2://u:p@db/mlflow",
        cerbos_binary=tmp_path / "not installed",
        airflow_url="http://airflow.example",
        mlflow_tracking_url="http://mlflow.example",
    )
    ensure_secrets(settings)
    assert [program.name.value for program in platform_programs(settings)] == ["runner", "serving-api", "dashboard"]


def test_a_long_data_folder_gets_a_short_socket(tmp_path):
    short = Settings(data_dir=Path("/srv/tuneway"))
    long = Settings(data_dir=tmp_path / ("x" * 120))
    assert short.supervisor_socket == Path("/srv/tuneway/run/supervisor.sock")
    assert len(bytes(long.supervisor_socket)) < 100


def test_airflow_cfg_has_the_users_that_get_passwords_and_keys_that_airflow_knows():
    import airflow
    import yaml

    known = yaml.safe_load((Path(airflow.__file__).parent / "config_templates" / "config.yml").read_text("utf-8"))
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "airflow.cfg", encoding="utf-8")
    unknown = [
        f"{section}.{key}"
        for section in config.sections()
        for key in config[section]
        if key not in known[section]["options"]
    ]
    assert unknown == []
    module, _, name = config["core"]["auth_manager"].rpartition(".")
    assert (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8").count(f"class {name}(") == 1


def test_the_variables_for_airflow_are_options_that_airflow_knows(settings):
    import airflow
    import yaml

    known = yaml.safe_load((Path(airflow.__file__).parent / "config_templates" / "config.yml").read_text("utf-8"))
    names = [name for name in airflow_environment(settings) if name.startswith("AIRFLOW__")]
    assert names
    for name in names:
        _, section, key = name.split("__")
        option = known[section.lower()]["options"][key.lower().removesuffix("_cmd")]
        assert option.get("sensitive", False) or not key.endswith("_CMD")
