"""A run of another trainer becomes a job with rows, metrics and an output that can be judged and registered."""

import json
from pathlib import Path

import pytest

from contracts.enums import JobStatus
from contracts.errors import InvalidDataError, NotFoundError
from stages.adopt_training import adopt_training
from stages.export_training import export_training
from tests.training.other_run import train
from tests.training.tiny_model import make_base_model, tiny_request

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def exported(services, tmp_path):
    request = tiny_request(services, make_base_model(tmp_path / "base"), "by-another", recipe="demo-lora", num_gpus=8)
    return Path(export_training(request, "llamafactory", tmp_path / "out", services).folder)


def test_a_finished_run_is_taken_over_once(services, exported):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = services.settings.models_dir / "base" / "tiny"
    (exported / "output").mkdir()
    train(exported / "output", base, 4, 0.0)

    report = adopt_training(exported, services)

    assert (report.steps, report.method, report.recipe) == (4, "lora", "demo-lora")
    assert [step for step, _ in report.loss_curve] == [1, 2, 3, 4]
    assert report.tokens_per_second > 0
    assert [saved.name for saved in report.checkpoints] == ["checkpoint-2", "checkpoint-4"]
    with services.unit_of_work() as uow:
        assert uow.jobs.get(report.job_id).status is JobStatus.COMPLETED
    template = (Path(report.output_path) / "chat_template.jinja").read_text(encoding="utf-8")
    assert template == (base / "chat_template.jinja").read_text(encoding="utf-8")
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), report.output_path)
    assert adopt_training(exported, services) == report


def test_what_is_not_finished_or_not_exported_is_told(services, exported, tmp_path):
    with pytest.raises(NotFoundError, match="was not exported"):
        adopt_training(tmp_path, services)
    with pytest.raises(InvalidDataError, match="holds no run"):
        adopt_training(exported, services)
    state = exported / "output" / "checkpoint-2" / "trainer_state.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"global_step": 2, "max_steps": 4, "log_history": []}))
    with pytest.raises(InvalidDataError, match="step 2 of 4"):
        adopt_training(exported, services)
