"""A model divided over two processes learns as one that is not, and is not quietly left whole.

There are no GPUs in CI. The libraries divide a model only where they see several of them, so each process is told
(here, nowhere else) that its CPU is one: `DIVIDED` in front of the run.
"""

import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from contracts.errors import JobFailedError
from contracts.training import TrainingReport
from storage.files import read_json, write_json_atomically
from storage.job_folder import JobFolder
from tests.conftest import REPOSITORY_ROOT
from tests.training.test_finetuning import RUN, log_of, losses
from tests.training.tiny_model import make_base_model, make_dataset
from training.plan import TrainingPlan
from training.recipe import Recipe, load_recipe
from training.sharding import sharding_callback

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # two processes start again and again

DIVIDED = (
    "import os; os.environ['ACCELERATE_TORCH_DEVICE'] = 'cpu'; os.environ['DS_ACCELERATOR'] = 'cpu';"
    "import accelerate.state as state; from accelerate.utils import DistributedType;"
    "state.PartialState._prepare_backend = lambda *_, **__: ('gloo', DistributedType.MULTI_GPU);"
)
# DeepSpeed would compile a faster exchange between two CPUs, which takes longer than the test.
UNCOMPILED = "import sys, deepspeed.comm.torch; sys.modules['deepspeed.comm.torch'].build_shm_op = lambda: None;"
BEGINNINGS = {"none": "", "fsdp2": DIVIDED, "zero2": DIVIDED + UNCOMPILED, "zero3": DIVIDED + UNCOMPILED}
# In the middle of a step, while another process waits for this one's gradients.
DYING = """
import os
from transformers import Trainer
begun, step = [], Trainer.training_step
def dying(*arguments, **options):
    begun.append(True)
    if len(begun) == int(os.environ["DIES_AT"]) and os.environ["RANK"] in os.environ["DYING_RANKS"]:
        if os.environ["DYING_RANKS"] == "01" and os.environ["RANK"] == "0":
            os.kill(os.getppid(), 9)
        os.kill(os.getpid(), 9)
    return step(*arguments, **options)
Trainer.training_step = dying
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Runs a recipe in two processes; each kind of run once."""
    root = tmp_path_factory.mktemp("sharding")
    base, dataset = make_base_model(root / "tiny"), make_dataset(root / "dataset", 64, 16)
    done: dict[tuple[str, str, str], JobFolder] = {}

    def run(method: str, sharding: str, name: str = "undisturbed") -> JobFolder:
        if (method, sharding, name) in done:
            return done[method, sharding, name]
        folder = planned_run(root / f"{method}-{sharding}-{name}", base, dataset, method, sharding)
        done[method, sharding, name] = folder
        if name == "undisturbed":
            start(folder, sharding)
        return folder

    return run


def planned_run(root: Path, base: Path, dataset: Path, method: str, sharding: str, **given: int) -> JobFolder:
    """The folder of a run of eight steps, a checkpoint after the fourth."""
    folder = JobFolder(root)
    numbers = {"batch_size": 8, "num_epochs": 2, "warmup_steps": 1, "logging_steps": 1, "save_steps": 4}
    recipe = Recipe.model_validate(
        {**load_recipe(f"demo-{method}").model_dump(), **numbers, "eval_steps": 4, "sharding": sharding}
    )
    plan = TrainingPlan(
        job_id=1,
        job_name=folder.root.name,
        dataset_id=1,
        dataset_path=str(dataset),
        base_model="tiny",
        base_model_path=str(base),
        recipe_name=f"demo-{method}",
        recipe=recipe,
        **{"num_gpus": 2, "seed": 0, "keep_checkpoints": 2, **given},
    )
    write_json_atomically(folder.plan, plan.model_dump(mode="json"))
    return folder


def start(folder: JobFolder, sharding: str, beginning: str = "", **environment: str) -> int:
    """Two processes, until they have ended; the exit code."""
    script = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    with (folder.root / "output.log").open("ab") as log:
        return subprocess.run(
            [*script, sys.executable, "-c", BEGINNINGS[sharding] + beginning + RUN, str(folder.root)],
            cwd=REPOSITORY_ROOT,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT), "OMP_NUM_THREADS": "1", **environment},
            stdout=log,
            stderr=log,
            timeout=400,
            check=False,
        ).returncode


DIVISIONS = [
    ("lora", "zero2"),
    pytest.param("full", "fsdp2", marks=pytest.mark.deep),
    pytest.param("full", "zero3", marks=pytest.mark.deep),
]


@pytest.mark.parametrize(("method", "sharding"), DIVISIONS)
def test_a_divided_model_learns_as_a_whole_one_and_its_output_loads(finished, method, sharding):
    from transformers import AutoModelForCausalLM

    whole, divided = finished(method, "none"), finished(method, sharding)
    assert divided.result.exists(), log_of(divided)[-6000:]
    expected, found = [loss for _, loss in losses(whole)], [loss for _, loss in losses(divided)]
    assert len(found) == 8
    assert found == pytest.approx(expected, rel=1e-3)
    report = TrainingReport.model_validate(read_json(divided.result))
    assert report.eval_loss == pytest.approx(TrainingReport.model_validate(read_json(whole.result)).eval_loss, rel=1e-3)
    model = AutoModelForCausalLM.from_pretrained(divided.output)
    reference = AutoModelForCausalLM.from_pretrained(whole.output)
    weights = dict(reference.named_parameters())
    assert len(weights) > 5
    for name, parameter in model.named_parameters():
        assert (parameter - weights[name]).abs().max().item() < 5e-3, name


@pytest.mark.parametrize("sharding", ["fsdp2", "zero2", "zero3"])
def test_a_model_that_was_quietly_left_whole_ends_the_run_before_its_first_step(sharding):
    """The runs above pass by the same callback, with models that are divided."""
    from torch.nn import Linear

    recipe = load_recipe("demo-full").model_copy(update={"sharding": sharding})
    trainer = SimpleNamespace(model=Linear(2, 2), model_wrapped=Linear(2, 2))
    with pytest.raises(JobFailedError, match="The model was not divided over the processes"):
        sharding_callback(trainer, recipe).on_train_begin()


@pytest.mark.deep
@pytest.mark.parametrize(("method", "sharding"), [("full", "fsdp2"), ("lora", "zero2")])
def test_a_divided_run_killed_in_one_process_and_in_all_ends_as_one_never_killed(finished, method, sharding):
    quiet, killed = finished(method, sharding), finished(method, sharding, "killed")
    chance = random.Random(sharding)
    # before the checkpoint of step 4, and after it
    for ranks, at in (("1", chance.randint(3, 4)), ("01", chance.randint(7, 8))):
        assert start(killed, sharding, DYING, DYING_RANKS=ranks, DIES_AT=str(at)) != 0
        assert not killed.result.exists()
    assert start(killed, sharding) == 0, log_of(killed)[-6000:]
    report, undisturbed = (TrainingReport.model_validate(read_json(run.result)) for run in (killed, quiet))
    assert report.resumed_from_step == 4
    assert report.weights_sha256 == undisturbed.weights_sha256
    assert losses(killed) == losses(quiet)
    assert report.eval_loss == undisturbed.eval_loss
