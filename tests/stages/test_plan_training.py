"""A plan tells before a job what it needs; a job that cannot fit is refused before anything is made."""

import pytest

from contracts.errors import CapacityError
from contracts.fitting import FitVerdict, MemoryPart
from settings import load_settings
from stages.plan_training import capacity_of, check_memory, plan_training
from stages.services import open_services
from stages.train import check_request, create_job
from tests.stages.finished_job import training_report
from tests.training.tiny_model import make_base_model, tiny_request
from training.recipe import load_recipe


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


def services_with(monkeypatch, **values):
    for name, value in values.items():
        monkeypatch.setenv(f"TUNEWAY_{name.upper()}", str(value))
    return open_services(load_settings())


@pytest.mark.slow
def test_a_plan_tells_memory_disk_and_time_of_a_dataset_version(services, base_model):
    request = tiny_request(services, base_model)
    plan = plan_training(
        request.recipe,
        services,
        base_model="tiny",
        hyperparameters=request.hyperparameters,
        dataset_id=request.dataset_id,
    )
    assert (plan.device, plan.verdict, plan.nearest) == ("cpu", FitVerdict.FITS, None)
    assert plan.memory is not None
    assert plan.memory.parts[MemoryPart.WEIGHTS] > 0
    assert plan.sequence_tokens < 256  # no row is as long as the recipe allows
    assert plan.disk is not None
    assert plan.disk.fits
    assert plan.time is not None
    assert (plan.time.source, plan.time.steps) == ("model", 96)
    with services.unit_of_work() as uow:
        assert uow.jobs.newest() == []


@pytest.mark.slow
def test_earlier_jobs_of_the_same_model_method_and_gpus_say_how_fast_it_goes(services, base_model, tmp_path):
    request = tiny_request(services, base_model)

    def finish(name, speed, num_gpus):
        earlier = request.model_copy(update={"job_name": name})
        with services.unit_of_work() as uow:
            job_id = uow.jobs.create(
                earlier,
                hyperparameters={"num_gpus": num_gpus},
                base_model_path=str(services.settings.models_dir / "base" / "tiny"),
            )
            report = training_report(job_id, request.dataset_id, earlier, base_model, tmp_path)
            uow.jobs.complete(job_id, report.model_copy(update={"tokens_per_second": speed}))

    finish("one", 500.0, 1)
    finish("two", 600.0, 1)
    finish("on-two-cards", 9000.0, 2)
    plan = plan_training(request.recipe, services, base_model="tiny", dataset_id=request.dataset_id)
    assert plan.time is not None
    assert (plan.time.source, plan.time.based_on, plan.time.tokens_per_second) == ("measured", 2, 600.0)
    assert plan.time.high_seconds > plan.time.seconds > plan.time.low_seconds

    job = create_job(request, services)
    assert job.expected_seconds is not None
    assert 0 < job.expected_seconds < 3600


@pytest.mark.slow
class TestRefusals:
    """Before a row, a folder or a slot."""

    def test_a_job_that_cannot_fit_is_refused_with_the_nearest_setting_that_does(
        self, services, base_model, monkeypatch
    ):
        request = tiny_request(services, base_model, hyperparameters={"batch_size": 4096})
        small = services_with(monkeypatch, gpu_memory_gb=1.2)
        with pytest.raises(CapacityError, match="does not fit") as caught:
            create_job(request, small)
        assert "batch_size" in caught.value.next_step
        assert "instead of 4096" in caught.value.next_step
        assert "1.2 GB (setting TUNEWAY_GPU_MEMORY_GB)" in caught.value.allowed
        with small.unit_of_work() as uow:
            assert uow.jobs.newest() == []
        assert not list(services.settings.jobs_dir.glob("*"))

    def test_what_is_proposed_is_accepted(self, services, base_model, monkeypatch):
        request = tiny_request(services, base_model, hyperparameters={"batch_size": 4096})
        small = services_with(monkeypatch, gpu_memory_gb=1.2)
        plan = plan_training(request.recipe, small, base_model="tiny", hyperparameters=request.hyperparameters)
        assert plan.verdict is FitVerdict.TOO_LARGE
        assert plan.nearest is not None
        numbers = {
            change.field: int(change.proposed)
            for change in plan.nearest.changes
            if change.field in {"batch_size", "gradient_accumulation_steps"}
        }
        assert len(numbers) == len(plan.nearest.changes)
        check_request(tiny_request(small, base_model, hyperparameters=numbers), small)

    def test_where_nothing_fits_it_says_so(self, services, base_model, monkeypatch):
        request = tiny_request(services, base_model)
        with pytest.raises(CapacityError) as caught:
            check_request(request, services_with(monkeypatch, gpu_memory_gb=0.5))
        assert "take a smaller one" in caught.value.next_step


def test_a_machine_that_hands_its_jobs_to_another_ones_runner_refuses_nothing_it_cannot_know(
    services, base_model, monkeypatch
):
    elsewhere = services_with(monkeypatch, runner_url="http://gpu-host:18070").settings
    assert capacity_of(elsewhere, 1).size_bytes is None
    recipe = load_recipe("demo-lora").model_copy(update={"batch_size": 4096, "max_seq_length": 262_144})
    check_memory(recipe, base_model, 1, elsewhere)
    with pytest.raises(CapacityError):
        check_memory(recipe, base_model, 1, services.settings)


def test_processes_of_one_job_share_the_machines_memory(services):
    one, two = (capacity_of(services.settings, count) for count in (1, 2))
    assert one.size_bytes is not None
    assert two.size_bytes == one.size_bytes // 2


def test_a_model_of_another_kind_is_left_to_the_job_itself(services, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_embd": 768}')
    check_memory(load_recipe("demo-lora"), tmp_path, 1, services_with(monkeypatch, gpu_memory_gb=0.5).settings)
