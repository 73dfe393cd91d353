"""A model divided over two hosts, each with memory of its own, killed on one of them: it learns as a whole one."""

import os
import subprocess
import sys

import pytest

from contracts.nodes import NodePart, NodePlan
from contracts.training import TrainingReport
from runner.parts import torchrun_options
from storage.encryption.container import is_encrypted
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port
from tests.runner.conftest import submission
from tests.runner.hosts import CAN_MAKE_HOSTS, machines
from tests.training.test_finetuning import RUN, log_of, losses
from tests.training.test_sharding import BEGINNINGS, DYING, planned_run, start
from tests.training.tiny_model import make_base_model, make_dataset
from training.checkpoints import read_manifest

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not CAN_MAKE_HOSTS, reason="needs root, iproute2 and util-linux to make hosts of namespaces"),
]


@pytest.fixture(scope="module")
def two_machines():
    with machines(["node-a", "node-b"]) as (made, _):
        yield made


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("sharding")
    return root, make_base_model(root / "tiny"), make_dataset(root / "dataset", 64, 16)


def start_on(two_machines, folder: JobFolder, sharding: str, beginning: str = "", **environment: str) -> list[int]:
    """One process on each machine, until both have ended; their exit codes."""
    parts = [NodePart(host=machine.name, address=machine.address, cards=[0]) for machine in two_machines]
    attempt = folder.attempt(1)
    write_json_atomically(attempt.nodes, NodePlan(parts=parts, port=free_port()).model_dump(mode="json"))
    job = submission(num_nodes=2)
    with (folder.root / "output.log").open("ab") as log:
        processes = [
            subprocess.Popen(
                machine.command(
                    *(sys.executable, "-m", "torch.distributed.run"),
                    *torchrun_options(job, attempt, rank),
                    *("--no-python", sys.executable, "-c", BEGINNINGS[sharding] + beginning + RUN, str(folder.root)),
                ),
                cwd=REPOSITORY_ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(REPOSITORY_ROOT),
                    "OMP_NUM_THREADS": "1",
                    "GLOO_SOCKET_IFNAME": "eth0",
                    **environment,
                },
                stdout=log,
                stderr=log,
            )
            for rank, machine in enumerate(two_machines)
        ]
        return [process.wait(timeout=400) for process in processes]


@pytest.mark.parametrize(("method", "sharding"), [("full", "fsdp2"), ("lora", "zero2"), ("full", "zero3")])
def test_a_divided_model_on_two_hosts_learns_as_a_whole_one_also_after_one_dies(two_machines, inputs, method, sharding):
    root, base, dataset = inputs
    whole = planned_run(root / f"{method}-whole-for-{sharding}", base, dataset, method, "none")
    assert start(whole, "none") == 0, log_of(whole)[-6000:]
    divided = planned_run(root / f"{method}-{sharding}", base, dataset, method, sharding, num_gpus=1, num_nodes=2)
    died = start_on(two_machines, divided, sharding, DYING, DYING_RANKS="1", DIES_AT="7")
    assert all(code != 0 for code in died), log_of(divided)[-6000:]
    saved = divided.checkpoints / "checkpoint-4"
    manifest = read_manifest(saved)
    assert manifest is not None
    assert "rng_state_1.pth" in manifest.files
    assert all(is_encrypted(saved / name) for name in manifest.files)
    assert start_on(two_machines, divided, sharding) == [0, 0], log_of(divided)[-6000:]
    report, expected = (TrainingReport.model_validate(read_json(run.result)) for run in (divided, whole))
    assert report.resumed_from_step == 4
    assert [loss for _, loss in losses(divided)] == pytest.approx([loss for _, loss in losses(whole)], rel=1e-3)
    assert report.eval_loss == pytest.approx(expected.eval_loss, rel=1e-3)
