"""docker-compose.yaml speaks of settings, programs and files that exist. No container engine runs here."""

import re
from pathlib import Path

import pytest
import yaml

from cli.programs import ProgramName
from settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
VARIABLES = {f"TUNEWAY_{name.upper()}" for name in Settings.model_fields}
OUTSIDE_OF_SETTINGS = {"TUNEWAY_IMAGE_TAG"}
MONITORING_PORTS = {19090, 13000}


@pytest.mark.parametrize("path", ["docker-compose.yaml", "Dockerfile", "setup/container_entrypoint.sh", "airflow.cfg"])
def test_every_variable_is_a_setting(path):
    named = set(re.findall(r"TUNEWAY_[A-Z_]+", (ROOT / path).read_text(encoding="utf-8")))
    assert named - VARIABLES - OUTSIDE_OF_SETTINGS == set()


def test_every_process_of_the_platform_has_a_container():
    commands = [service["command"] for service in SERVICES.values() if "command" in service]
    run = {command[2] for command in commands if command[:2] == ["tuneway", "run"]}
    # PostgreSQL is an image of its own
    assert run == {name.value for name in ProgramName} - {"postgres"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_only_the_loopback_address_is_published(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_published_ports_are_those_of_the_settings():
    published = {int(port.split(":")[1]) for service in SERVICES.values() for port in service.get("ports", [])}
    ports = Settings(port_base=18000).ports
    assert published == {ports["mlflow"], ports["airflow"], ports["serving"], ports["dashboard"], *MONITORING_PORTS}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_refers_to_exists(name):
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith(("./setup", "./monitoring")):
            assert (ROOT / source).exists()
        elif not source.startswith(("./", "$")):
            assert source in COMPOSE["volumes"]


def test_no_password_stands_in_the_file():
    text = TEXT.replace("postgres_password:\n", "").replace("grafana_password:\n", "")
    assert not re.findall(r"(?i)password\s*[:=]\s*['\"]?[A-Za-z0-9]{4,}", text)


def test_each_gpu_goes_to_one_vllm_server():
    devices = [
        SERVICES[name]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        for name in ("vllm-a", "vllm-b")
    ]
    assert devices == [["0"], ["1"]]
    assert all("gpu" in SERVICES[name]["profiles"] for name in ("vllm-a", "vllm-b", "runner-gpu"))


def test_the_header_says_that_it_was_never_started():
    assert "never been started" in TEXT.split("name: tuneway")[0]
