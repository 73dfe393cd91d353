"""Each check tells right from wrong on the real machine."""

import os
import re
import socket
from importlib.metadata import PackageNotFoundError

import pytest

from cli.doctor import Verdict, blocking_findings, examine, locked_versions, used_ports
from settings import Settings
from tests.ports import free_port_base


def settings_for(folder, **values) -> Settings:
    return Settings(data_dir=folder, **{"port_base": free_port_base(), **values})


def test_nothing_stands_in_the_way_of_a_start_on_a_free_range(tmp_path):
    assert blocking_findings(settings_for(tmp_path / "data"), "en") == []


def test_every_check_has_a_verdict_and_what_is_wrong_has_a_next_step(tmp_path):
    findings = examine(settings_for(tmp_path / "data", min_free_disk_gb=1e6), "en")
    assert {"Python", "Packages", "Disk", "Memory", "Data folder", "GPU"} <= {finding.check for finding in findings}
    assert all(finding.next_step for finding in findings if finding.verdict is not Verdict.OK)
    assert [finding.check for finding in findings if finding.verdict is Verdict.BLOCK] == ["Disk"]


@pytest.mark.parametrize(
    ("values", "extra", "package"),
    [
        ({"airflow_executor": "CeleryExecutor"}, "celery", "apache-airflow-providers-celery"),
        ({"airflow_executor": "KubernetesExecutor"}, "kubernetes", "apache-airflow-providers-cncf-kubernetes"),
        ({"data_scheduler": "tcp://127.0.0.1:8786"}, "cluster", "distributed"),
    ],
)
def test_a_chosen_executor_or_cluster_without_its_packages_blocks_the_start(
    tmp_path, monkeypatch, values, extra, package
):
    asked = []

    def missing(name):
        asked.append(name)
        raise PackageNotFoundError(name)

    monkeypatch.setattr("cli.doctor.version", missing)
    (finding,) = blocking_findings(settings_for(tmp_path / "data", **values), "en")
    assert asked == [package]
    assert f"setup/install.py --with {extra}" in finding.next_step
    monkeypatch.setattr("cli.doctor.version", lambda name: "1.0")
    assert blocking_findings(settings_for(tmp_path / "data", **values), "en") == []


def test_two_services_on_one_port_block_the_start(tmp_path):
    base = free_port_base()
    found = blocking_findings(settings_for(tmp_path, port_base=base, mlflow_port=base + 1), "en")
    assert [finding.detail for finding in found] == ["serving, mlflow have the same port"]


def test_a_taken_port_names_who_has_it(tmp_path):
    base = free_port_base()
    with socket.socket() as other_program:
        other_program.bind(("127.0.0.1", base + 80))
        other_program.listen()
        found = blocking_findings(settings_for(tmp_path, port_base=base), "en")
    assert [finding.check for finding in found] == [f"Port {base + 80} (airflow)"]
    assert f"(PID {os.getpid()})" in found[0].detail


def test_an_address_of_another_machine_blocks_the_start(tmp_path):
    found = blocking_findings(settings_for(tmp_path, host="192.0.2.1"), "en")
    assert [finding.check for finding in found] == ["Address 192.0.2.1"]


def test_an_open_address_is_a_warning(tmp_path):
    findings = examine(settings_for(tmp_path, host="0.0.0.0"), "en")
    assert [finding.verdict for finding in findings if finding.check == "Address 0.0.0.0"] == [Verdict.WARN]


def test_a_file_in_the_place_of_the_data_folder_blocks_the_start(tmp_path):
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    found = blocking_findings(settings_for(tmp_path / "data"), "en")
    assert [finding.check for finding in found] == ["Data folder"]


def test_secrets_that_others_can_read_are_named(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    (folder / "token_key").touch(mode=0o600)
    (folder / "runner_token").touch()
    (folder / "runner_token").chmod(0o644)
    found = next(finding for finding in examine(settings_for(tmp_path), "en") if "secrets" in finding.check)
    assert found.verdict is Verdict.WARN
    assert found.detail == "readable by others: runner_token"


def test_a_reachable_postgresql_is_shown_with_its_version(tmp_path, database_url):
    settings = settings_for(
        tmp_path, database_url=database_url, airflow_database_url=database_url, mlflow_database_url=database_url
    )
    found = [finding for finding in examine(settings, "en") if finding.check == "PostgreSQL"]
    assert [finding.verdict for finding in found] == [Verdict.OK] * 3
    assert re.match(r"TUNEWAY_DATABASE_URL: \d+\.\d+ at 127.0.0.1:", found[0].detail)


def test_a_service_of_the_site_needs_no_port_here(tmp_path):
    settings = settings_for(tmp_path, airflow_url="http://airflow.example")
    assert "airflow" not in used_ports(settings)
    assert "mlflow" in used_ports(settings)


@pytest.mark.parametrize(("serving_gpus", "verdict"), [([1], Verdict.OK), ([0, 1], Verdict.WARN), ([2], Verdict.WARN)])
def test_cards_kept_for_servers_must_be_there_and_leave_one_for_jobs(tmp_path, monkeypatch, serving_gpus, verdict):
    monkeypatch.setattr("cli.doctor.gpu_names", lambda: ["H100", "H100"])
    settings = settings_for(tmp_path, gpu_slots=2, serving_gpus=serving_gpus)
    (found,) = [finding for finding in examine(settings, "en") if finding.check == "GPU"]
    assert found.verdict is verdict
    assert f"{settings.job_slots} for jobs" in found.detail


def test_vllm_that_is_demanded_but_absent_blocks_the_start(tmp_path):
    absent = tmp_path / "no-environment" / "bin" / "python"
    demanded = settings_for(tmp_path, vllm_python=absent, model_server_backend="vllm")
    optional = settings_for(tmp_path, vllm_python=absent)
    assert [finding.check for finding in blocking_findings(demanded, "en")] == ["vLLM environment"]
    assert blocking_findings(optional, "en") == []


@pytest.mark.parametrize(
    ("line", "package", "version"),
    [
        ("uvicorn[standard]==0.54.0", "uvicorn", "0.54.0"),
        ("Flask_Cors==6.0.1 ; python_version >= '3.9'", "flask-cors", "6.0.1"),
    ],
)
def test_a_lock_file_names_its_versions(tmp_path, line, package, version):
    path = tmp_path / "requirements.txt"
    path.write_text(f"# made by a compiler\n{line}\n    # via something\n", encoding="utf-8")
    assert locked_versions(path) == {package: version}


@pytest.mark.slow
@pytest.mark.deep
def test_the_deep_check_builds_the_application_of_airflow(tmp_path):
    findings = {finding.check: finding.verdict for finding in examine(settings_for(tmp_path), "en", deep=True)}
    assert findings["Airflow starts"] is Verdict.OK
