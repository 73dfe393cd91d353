"""Which model a person means: every way to name it leads to its files, and the same files are the same model."""

import json
import shutil

import pytest

from contracts.enums import EvaluatedKind, ModelFormat, ModelStatus
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from stages.evaluated_models import resolve_model
from tests.security.model_folders import weights_saying
from tests.stages.finished_job import finished_job, write_split

PROMPT = "규정 안내 담당자입니다."


@pytest.fixture
def job(services, tmp_path):
    """A completed job with an adapter, on a base model in the models folder."""
    base = services.settings.models_dir / "base" / "tiny"
    adapter = tmp_path / "adapter"
    for folder, content in ((base, "base weights"), (adapter, "adapter weights")):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(weights_saying(content))
    (base / "config.json").write_text("{}")
    (base / "tokenizer.json").write_text("{}")
    (base / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (adapter / "adapter_config.json").write_text('{"r": 8}')
    done = finished_job(services, base_model=base, output=adapter)
    train = services.settings.datasets_dir / "versions" / "regulations-1" / "train.parquet"
    write_split(train, [("질문", "답")], system_prompt=PROMPT)
    return done


def _register(services, job, folder):
    with services.unit_of_work() as uow:
        return uow.models.add(
            model_name="assistant",
            version=None,
            base_model="tiny",
            base_model_path=job.report.base_model_path,
            finetuning_job_id=job.job_id,
            model_path=str(folder),
            model_format=ModelFormat.LORA_ADAPTER,
            model_size_gb=0.1,
            status=ModelStatus.STAGING,
            mlflow_model_uri=None,
            content_hash="c" * 64,
        )


def test_a_job_is_its_adapter_on_its_base_with_the_prompt_of_its_training_data(services, job):
    resolved = resolve_model(f"job:{job.job_id}", services)
    assert (resolved.model.kind, resolved.model.job_id) == (EvaluatedKind.JOB, job.job_id)
    assert (resolved.model_path, resolved.adapter_path) == (job.report.base_model_path, job.report.output_path)
    assert resolved.system_prompt == PROMPT
    spec = resolved.server([0])
    assert [adapter.path for adapter in spec.adapters] == [job.report.output_path]
    assert resolved.served_name in spec.model_names


def test_a_registered_copy_is_the_same_model_as_the_job(services, job, tmp_path):
    copy = tmp_path / "registered" / "v1"
    shutil.copytree(job.report.output_path, copy)
    (copy / "manifest.json").write_text('{"model_name": "assistant"}')
    (copy / "MODEL_CARD.md").write_text("# assistant")
    version = _register(services, job, copy)
    registered = resolve_model("assistant@1", services)
    assert (registered.model.kind, registered.model.model_id) == (EvaluatedKind.MODEL_VERSION, version.model_id)
    assert registered.model.content_hash == resolve_model(f"job:{job.job_id}", services).model.content_hash
    assert registered.system_prompt == PROMPT
    with pytest.raises(NotFoundError, match="no such version"):
        resolve_model("assistant@7", services)


def test_a_base_model_is_found_by_name_and_by_path_and_is_another_model_than_what_was_made_of_it(services, job):
    by_name = resolve_model("tiny", services)
    by_path = resolve_model(job.report.base_model_path, services)
    assert by_name.model.content_hash == by_path.model.content_hash
    assert (by_name.model.kind, by_name.model.name, by_name.adapter_path) == (EvaluatedKind.FOLDER, "tiny", None)
    of_job = resolve_model(f"job:{job.job_id}", services)
    assert of_job.model.content_hash != by_name.model.content_hash
    assert of_job.template_sha256 == by_name.template_sha256 != ""


def test_other_weights_are_another_model(services, job):
    before = resolve_model("tiny", services).model.content_hash
    weights = services.settings.models_dir / "base" / "tiny" / "model.safetensors"
    weights.write_bytes(weights_saying("other weights!"))
    assert resolve_model("tiny", services).model.content_hash != before


def test_an_endpoint_is_its_address_and_name_with_or_without_v1(services):
    short, long = (resolve_model(f"http://10.1.2.3:8000{path}#qwen3", services) for path in ("", "/v1/"))
    assert short == long
    assert (short.endpoint_url, short.served_name) == ("http://10.1.2.3:8000/v1", "qwen3")
    assert short.model.name == "qwen3 at 10.1.2.3:8000"


@pytest.mark.parametrize("given", ["http://10.1.2.3:8000", "http://#qwen3", "http://kim:secret@10.1.2.3#qwen3"])
def test_half_an_endpoint_is_refused_without_repeating_a_password(services, given):
    with pytest.raises(InvalidRequestError, match="address and the served model's name") as caught:
        resolve_model(given, services)
    assert "secret" not in caught.value.sentence()


def test_a_job_without_weights_is_refused(services, tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "out").mkdir()
    unfinished = finished_job(services, base_model=tmp_path / "base", output=tmp_path / "out", complete=False)
    with pytest.raises(ConflictError, match="cannot be evaluated"):
        resolve_model(f"job:{unfinished.job_id}", services)


def test_a_name_that_nobody_has_is_refused_with_the_ways_to_name_a_model(services):
    with pytest.raises(NotFoundError, match="no model of this name"):
        resolve_model("nobody", services)
