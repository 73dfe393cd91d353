"""The manifests speak Kubernetes, and of settings and programs that exist. No cluster runs here."""

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml

from cli.programs import ProgramName
from settings import Settings
from tests.conftest import REPOSITORY_ROOT

FOLDER = REPOSITORY_ROOT / "images" / "kubernetes"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
OBJECTS = [
    item
    for path in FILES
    for value in [yaml.safe_load(path.read_text("utf-8"))]
    for item in value.get("items", [value])
]
TEXT = "\n".join(path.read_text("utf-8") for path in FILES)
VERSIONS = ("1.31", "1.37")
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))


def pods():
    """The specification of each pod that comes of the manifests, by its object's name."""
    for item in OBJECTS:
        spec = item["spec"] if item["kind"] == "Pod" else item.get("spec", {}).get("template", {}).get("spec")
        if spec is not None:
            yield item["metadata"]["name"], spec


PODS = dict(pods())
CONTAINERS = [
    (f"{name}/{container['name']}", spec, container)
    for name, spec in PODS.items()
    for container in [*spec.get("initContainers", []), *spec["containers"]]
]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_what_kubernetes_takes(version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate installed")
    assert len(OBJECTS) > 20
    for item in OBJECTS:
        kubernetes_validate.validate(item, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**OBJECTS[0], "metadatas": {}}, version, strict=True)


@pytest.mark.skipif(
    not list(distributions(name="apache-airflow-providers-cncf-kubernetes")),
    reason="needs requirements-kubernetes.txt installed",
)
def test_airflow_makes_a_tasks_pod_of_the_template():
    from airflow.providers.cncf.kubernetes import pod_generator as generator

    template = generator.PodGenerator.deserialize_model_file(str(FOLDER / "pod-template.yaml"))
    arguments = ["python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "{}"]
    pod = generator.PodGenerator.construct_pod(
        dag_id="finetune_pipeline", task_id="train", pod_id="task-1", try_number=1, kube_image="", date=None,
        args=arguments, pod_override_object=None, base_worker_pod=template, namespace="tuneway", scheduler_job_id="1",
        run_id="run",
    )  # fmt: skip
    (container,) = pod.spec.containers
    assert container.args == arguments
    assert container.command[-3:] == ["python", "-m", "cli.airflow_task"]
    assert pod.spec.security_context.run_as_non_root


def test_a_container_is_an_ordinary_account_that_writes_nothing_of_its_image_and_has_limits():
    assert len(CONTAINERS) > 12
    for name, spec, container in CONTAINERS:
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] == 10001, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert container["resources"]["limits"]["memory"], name
    assert not {"privileged", "hostPath", "hostNetwork"} & set(re.findall(r"\w+", TEXT))


def test_only_the_scheduler_speaks_to_the_cluster():
    speaking = {name for name, spec in PODS.items() if spec.get("automountServiceAccountToken", True)}
    assert speaking == {"airflow-scheduler"}
    (role,) = [item for item in OBJECTS if item["kind"] == "Role"]
    assert not {"*", "secrets", "configmaps", "pods/exec"} & {r for rule in role["rules"] for r in rule["resources"]}


def test_what_is_mounted_is_there():
    claims = {item["metadata"]["name"] for item in OBJECTS if item["kind"] == "PersistentVolumeClaim"}
    for name, spec, container in CONTAINERS:
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounts) <= set(volumes), name
        assert "/tmp" in mounts.values(), name
        named = {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in volumes.values()
            if "persistentVolumeClaim" in volume
        }
        assert named <= claims, name


def test_every_process_of_the_platform_has_a_pod():
    arguments = [container.get("args", []) for _, _, container in CONTAINERS]
    run = {given[2] for given in arguments if given[:2] == ["tuneway", "run"]}
    # PostgreSQL is the site's; tasks are pods, so there is no worker
    assert run == {name.value for name in ProgramName} - {"postgres", "airflow-worker"}


def test_every_variable_is_a_setting_and_every_service_has_its_port():
    named = set(re.findall(r"TUNEWAY_[A-Z_]+", TEXT))
    assert named <= {f"TUNEWAY_{name.upper()}" for name in Settings.model_fields}
    (given,) = [item["data"] for item in OBJECTS if item["kind"] == "ConfigMap"]
    services = {
        item["metadata"]["name"]: item["spec"]["ports"][0]["port"] for item in OBJECTS if item["kind"] == "Service"
    }
    addresses = [value for name, value in given.items() if name.endswith("_URL")]
    assert len(addresses) == 4
    for address in addresses:
        host, _, port = address.removeprefix("http://").rpartition(":")
        assert services[host] == int(port)
    ports = set(Settings(port_base=18000).ports.values())
    assert {port for name, port in services.items() if name != "model-server"} <= ports
    selected = {
        name: item["spec"]["selector"]["app"]
        for item in OBJECTS
        if item["kind"] == "Service"
        for name in [item["metadata"]["name"]]
    }
    labels = {
        item["spec"]["template"]["metadata"]["labels"]["app"] for item in OBJECTS if "template" in item.get("spec", {})
    }
    assert set(selected.values()) <= labels


def test_gpus_go_to_runners_and_model_servers_only_and_a_runner_has_as_many_as_it_gives_out():
    asking = {
        name: container["resources"]["limits"].get("nvidia.com/gpu")
        for name, spec in PODS.items()
        for container in spec["containers"]
        if "nvidia.com/gpu" in container["resources"]["limits"]
    }
    assert set(asking) == {"runner", "model-server"}
    (given,) = [item["data"] for item in OBJECTS if item["kind"] == "ConfigMap"]
    (runners,) = [item for item in OBJECTS if item["kind"] == "StatefulSet"]
    assert int(given["TUNEWAY_GPU_SLOTS"]) == asking["runner"]
    assert int(given["TUNEWAY_GPU_POOL_SLOTS"]) == asking["runner"] * runners["spec"]["replicas"]


def test_the_kustomization_names_every_file_and_image():
    listed = {*KUSTOMIZATION["resources"], *KUSTOMIZATION["configMapGenerator"][0]["files"]}
    assert listed == {path.name for path in FILES}
    images = {container["image"].split(":")[0] for _, _, container in CONTAINERS}
    assert {image["name"] for image in KUSTOMIZATION["images"]} == images


def test_the_header_says_that_it_was_never_applied():
    assert "Never applied" in (FOLDER / "platform.yaml").read_text("utf-8").split("apiVersion")[0]


def test_a_tasks_command_has_the_variables_of_airflow_and_keeps_its_arguments(tmp_path):
    program = "import os, sys; print(os.environ['AIRFLOW__CORE__EXECUTOR'], os.environ['AIRFLOW_HOME'], sys.argv[1:])"
    ended = subprocess.run(
        [sys.executable, "-m", "cli.airflow_task", Path(sys.executable).name, "-c", program, "--json-string", "{}"],
        cwd=REPOSITORY_ROOT,
        env={
            "PATH": str(Path(sys.executable).parent),
            "PYTHONPATH": str(REPOSITORY_ROOT),
            "TUNEWAY_DATA_DIR": str(tmp_path),
            "TUNEWAY_AIRFLOW_EXECUTOR": "KubernetesExecutor",
            "TUNEWAY_MLFLOW_TRACKING_URL": "http://mlflow:18050",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split(" ", 2) == ["KubernetesExecutor", str(tmp_path / "airflow"), "['--json-string', '{}']\n"]
