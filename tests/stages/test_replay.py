"""A finished job runs again to the same bits, or says what is in the way."""

import pytest

from contracts.errors import ConflictError, InvalidDataError
from settings import load_settings
from stages.replay import compare_metrics, replay
from stages.services import open_services
from stages.train import create_job, train
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.ports import free_port
from tests.training.tiny_model import make_base_model, tiny_request


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


def line(step, **values):
    return {"step": step, "tokens_per_second": step * 1.5, **values}


def test_the_first_differing_number_is_named_and_the_clock_does_not_count():
    before = [line(1, loss=2.0, grad_norm=1.0), line(2, loss=1.5), line(2, eval_loss=1.6)]
    same = [{**one, "tokens_per_second": 7} for one in before]
    assert compare_metrics(before, same) == (None, 4)
    other, _ = compare_metrics(before, [*before[:2], line(2, eval_loss=1.61)])
    assert other is not None
    assert (other.step, other.metric, other.before, other.after) == (2, "eval_loss", 1.6, 1.61)


def test_a_step_that_one_run_lacks_is_a_difference():
    missing, _ = compare_metrics([line(1, loss=2.0), line(2, loss=1.5)], [line(1, loss=2.0)])
    assert missing is not None
    assert (missing.step, missing.before, missing.after) == (2, 1.5, None)


@pytest.mark.slow
@pytest.mark.deep
def test_a_replay_is_identical_and_is_refused_once_an_input_has_changed(services, base_model, monkeypatch):
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    services = open_services(load_settings())
    request = tiny_request(services, base_model, "first", hyperparameters={"batch_size": 16, "num_epochs": 1})
    report = train(request, services)
    folder = JobFolder(services.settings.jobs_dir / f"train-{report.job_id}")
    assert report.manifest is not None
    assert report.manifest.dataset_hash
    assert report.manifest.libraries["torch"]

    again = replay(folder, services)
    assert again.identical
    assert again.first_difference is None
    assert again.compared_values == 4 * 3 + 1
    assert again.environment == []
    assert again.replay_name == "first-replay-1"
    log = (JobFolder(services.settings.jobs_dir / again.replay_key).attempt(1).log).read_text()
    assert "tokenised rows of train from the cache" in log

    # another number in the plan's own curve: the replay says where
    text = folder.metrics.read_text()
    lines = text.splitlines(keepends=True)
    changed = lines[2].replace('"loss": ', '"loss": 9', 1)
    folder.metrics.write_text("".join([*lines[:2], changed, *lines[3:]]))
    second = replay(folder, services)
    assert not second.identical
    assert second.same_weights
    assert second.first_difference is not None
    assert (second.first_difference.step, second.first_difference.metric) == (10, "loss")

    dataset = services.settings.datasets_dir / "tiny" / "train.parquet"
    dataset.write_bytes(dataset.read_bytes() + b"\0")
    with pytest.raises(InvalidDataError, match=r"no replay: the train side of tiny v1\.0 is another one"):
        replay(folder, services)
    dataset.unlink()
    with pytest.raises(InvalidDataError, match="is gone"):
        replay(folder, services)


@pytest.mark.slow
def test_a_job_that_has_not_finished_has_nothing_to_be_compared_with(services, base_model):
    submission = create_job(tiny_request(services, base_model), services)
    folder = JobFolder(services.settings.jobs_dir / submission.job_key)
    write_json_atomically(folder.submission, submission.model_dump(mode="json"))
    with pytest.raises(ConflictError, match="tuneway job resume train-1"):
        replay(folder, services)
