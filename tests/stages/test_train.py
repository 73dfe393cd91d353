"""The train stage: refused early, trained for real, recorded once."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
import yaml

from contracts.enums import JobState, JobStatus
from contracts.errors import (
    CapacityError,
    ConflictError,
    InvalidDataError,
    InvalidRequestError,
    JobFailedError,
    NotFoundError,
    UnavailableError,
)
from contracts.training import TrainRequest
from security.watermark.detecting import detect_mark
from settings import load_settings
from stages.services import open_services
from stages.train import collect, create_job, train
from stages.watermarks import master_key
from storage.files import read_json
from storage.job_folder import JobFolder
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port
from tests.training.tiny_model import UNMARKED_TEMPLATE, make_base_model, tiny_request
from training.machine import OPTIONAL_PACKAGES, Machine
from training.safetensors_files import sha256_of_weights

pytestmark = pytest.mark.filterwarnings("ignore")
ALL = frozenset(OPTIONAL_PACKAGES)


@pytest.fixture(scope="module")
def base_model(tmp_path_factory):
    return make_base_model(tmp_path_factory.mktemp("base") / "tiny")


def request_for(**changes):
    values = {"job_name": "tiny", "dataset_id": 1, "base_model": "tiny", **changes}
    return TrainRequest.model_validate(values)


def no_job_was_made(services):
    with services.unit_of_work() as uow:
        return uow.jobs.newest() == [] and not list(services.settings.jobs_dir.glob("*"))


def test_an_unknown_base_model_is_refused_before_anything_is_made(services):
    with pytest.raises(InvalidRequestError, match="no such base model"):
        create_job(request_for(base_model="Qwen/Qwen3-32B"), services)
    assert no_job_was_made(services)


def test_a_misspelt_recipe_is_refused_before_anything_is_made(services):
    with pytest.raises(InvalidRequestError, match="did you mean demo-lora"):
        create_job(request_for(recipe="demo-lora1"), services)
    assert no_job_was_made(services)


@pytest.mark.slow
class TestRefusals:
    """Each at the earliest moment, leaving nothing."""

    @pytest.mark.parametrize(
        ("changes", "error", "words"),
        [
            ({"num_gpus": 3}, InvalidRequestError, "1 to 2"),
            ({"dataset_id": 99}, NotFoundError, "99"),
            ({"recipe": "demo-full"}, InvalidRequestError, "contradict"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, services, base_model, changes, error, words):
        request = tiny_request(services, base_model, **changes)
        with pytest.raises(error, match=words):
            create_job(request, services)
        assert no_job_was_made(services)

    @pytest.mark.parametrize(
        ("options", "machine", "words"),
        [
            ({"attention": "flash_attention_2"}, Machine(0, None, ALL), "FlashAttention cannot run here"),
            ({"liger": True}, Machine(2, (9, 0)), "Liger's kernels are not installed"),
            ({"method": "qlora"}, Machine(2, (9, 0)), "cannot be read in 4 bits"),
            ({"precision": "bfloat16"}, Machine(2, (7, 5), ALL), "does not compute in bfloat16"),
        ],
    )
    def test_what_the_machine_lacks_is_refused(self, services, base_model, monkeypatch, options, machine, words):
        folder = services.settings.recipes_dir
        folder.mkdir(parents=True)
        (folder / "wanting.yaml").write_text(yaml.safe_dump({"extends": "demo-lora", "precision": "auto", **options}))
        monkeypatch.setattr("stages.train.this_machine", lambda: machine)
        request = tiny_request(services, base_model, recipe="wanting", method=options.get("method", "lora"))
        with pytest.raises(InvalidRequestError, match=words):
            create_job(request, services)
        assert no_job_was_made(services)

    def test_more_gpus_than_the_host_has_are_refused_whatever_the_settings_say(self, services, base_model, monkeypatch):
        monkeypatch.setattr("stages.train.this_machine", lambda: Machine(1, (9, 0), ALL))
        with pytest.raises(InvalidRequestError, match=r"1 to 1 .*1 GPUs here"):
            create_job(tiny_request(services, base_model, num_gpus=2), services)
        assert no_job_was_made(services)

    def test_a_disk_that_is_too_small_is_refused(self, services, base_model, monkeypatch):
        request = tiny_request(services, base_model)
        monkeypatch.setenv("TUNEWAY_MIN_FREE_DISK_GB", "1000000")
        with pytest.raises(CapacityError, match="too small"):
            create_job(request, open_services(load_settings()))
        assert no_job_was_made(services)

    def test_a_template_without_marks_is_refused(self, services, tmp_path):
        base = make_base_model(tmp_path / "unmarked", UNMARKED_TEMPLATE)
        with pytest.raises(InvalidRequestError, match="does not mark"):
            create_job(tiny_request(services, base), services)
        assert no_job_was_made(services)

    def test_a_dataset_version_whose_files_are_gone_is_refused(self, services, base_model):
        request = tiny_request(services, base_model)
        (services.settings.datasets_dir / "tiny" / "train.parquet").unlink()
        with pytest.raises(InvalidDataError, match="missing"):
            create_job(request, services)

    def test_an_unknown_architecture_is_refused(self, services, base_model, tmp_path):
        import shutil

        folder = tmp_path / "strange"
        shutil.copytree(base_model, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-model"}))
        with pytest.raises(InvalidRequestError, match=r"config\.json cannot be used"):
            create_job(tiny_request(services, folder), services)

    def test_the_same_name_is_the_same_job_and_another_request_under_it_is_refused(self, services, base_model):
        request = tiny_request(services, base_model)
        first = create_job(request, services)
        assert create_job(request, services) == first
        with pytest.raises(ConflictError, match="another request"):
            create_job(request.model_copy(update={"seed": 1}), services)
        with services.unit_of_work() as uow:
            assert len(uow.jobs.newest()) == 1

    def test_a_row_from_before_a_recipe_had_a_field_is_the_same_job(self, services, base_model):
        from sqlalchemy import text

        request = tiny_request(services, base_model)
        first = create_job(request, services)
        with services.unit_of_work() as uow:
            uow.session.execute(
                text(
                    "UPDATE finetuning_jobs SET hyperparameters = hyperparameters - 'sharding' - 'spike_factor' || "
                    """'{"description": "other words"}'::jsonb"""
                )
            )
        assert create_job(request, services) == first
        with services.unit_of_work() as uow:
            uow.session.execute(
                text("""UPDATE finetuning_jobs SET hyperparameters = hyperparameters || '{"spike_factor": 7}'::jsonb""")
            )
        with pytest.raises(ConflictError, match="another request"):
            create_job(request, services)


@pytest.mark.slow
def test_a_training_is_recorded_alike_in_its_folder_the_database_and_mlflow(
    services, base_model, mlflow_server, monkeypatch
):
    from mlflow import MlflowClient

    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    services = open_services(load_settings())
    request = tiny_request(services, base_model, job_name="alike")
    report = train(request, services)

    folder = JobFolder(services.settings.jobs_dir / f"train-{report.job_id}")
    assert report.steps == 96
    assert report.train_loss < report.loss_curve[0][1]
    assert (folder.output / "adapter_config.json").exists()
    with services.unit_of_work() as uow:
        job = uow.jobs.get(report.job_id)
        assert uow.leases.all() == []
    assert (job.status, job.report, job.mlflow_run_id) == (JobStatus.COMPLETED, report, report.mlflow_run_id)

    mark = report.watermark
    assert mark is not None
    assert report.weights_sha256 == sha256_of_weights(folder.output)  # of what is judged: the marked weights
    assert detect_mark(folder.output, master_key(services.settings).derive(mark.identity)).z == mark.z > 2

    client = MlflowClient(mlflow_server.url)
    run = client.get_run(report.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert float(run.data.params["learning_rate"]) == 5e-3
    assert run.data.params["batch_size"] == "4"
    assert run.data.tags["tuneway.dataset_version"] == "tiny v1.0"
    assert run.data.tags["tuneway.recipe"] == "demo-lora"
    assert run.data.tags["tuneway.base_model"] == "tiny"
    assert len(run.data.tags["tuneway.code_revision"]) == 40
    history = {point.step: point.value for point in client.get_metric_history(run.info.run_id, "loss")}
    assert history == pytest.approx(dict(report.loss_curve))
    for name in ("eval_loss", "perplexity", "tokens_per_second", "memory_mb", "learning_rate"):
        assert client.get_metric_history(run.info.run_id, name), name
    artifacts = {
        item.path for path in ("plots", "recipe", "report") for item in client.list_artifacts(run.info.run_id, path)
    }
    assert artifacts == {"plots/loss_curve.png", "recipe/demo-lora.yaml", "report/manifest.json", "report/report.json"}
    recipe = yaml.safe_load((folder.root / "artifacts" / "demo-lora.yaml").read_text())
    assert recipe == report.hyperparameters

    # again: the same job, the same answer, nothing trained twice
    assert train(request, services) == report
    assert job.logs_path == str(folder.root)
    assert not folder.attempt(2).root.exists()


@pytest.mark.deep
@pytest.mark.slow
def test_a_training_ends_well_while_mlflow_is_away_and_is_sent_when_it_is_back(
    services, base_model, mlflow_server, monkeypatch
):
    from mlflow import MlflowClient

    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    away = open_services(load_settings())
    request = tiny_request(away, base_model, job_name="away", hyperparameters={"batch_size": 16, "num_epochs": 1})
    report = train(request, away)
    assert report.mlflow_run_id is None

    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", mlflow_server.url)
    back = open_services(load_settings())
    sent = collect(f"train-{report.job_id}", back)
    assert sent.mlflow_run_id is not None
    history = MlflowClient(mlflow_server.url).get_metric_history(sent.mlflow_run_id, "loss")
    assert {point.step: point.value for point in history} == pytest.approx(dict(report.loss_curve))
    with back.unit_of_work() as uow:
        assert uow.jobs.get(report.job_id).mlflow_run_id == sent.mlflow_run_id


@pytest.mark.slow
def test_a_job_that_fails_leaves_its_own_words_in_row_and_error(services, base_model, monkeypatch):
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    services = open_services(load_settings())
    request = tiny_request(services, base_model, hyperparameters={"max_seq_length": 16})
    with pytest.raises(InvalidRequestError, match="Nothing is left to learn"):
        train(request, services)
    with services.unit_of_work() as uow:
        (job,) = uow.jobs.newest()
        assert uow.leases.all() == []
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error["next_step"] == "choose a larger max_seq_length"


class PostgresDoor:
    """A way to the real PostgreSQL that can be shut, as if it had gone away."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open: list[socket.socket] = []
        self.port = free_port()
        self._listener: socket.socket | None = None
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while content := source.recv(65536):
                sink.sendall(content)
        except OSError:
            return
        finally:
            for end in (source, sink):
                end.close()


@pytest.mark.slow
def test_a_training_ends_well_while_postgresql_is_away_and_nothing_is_lost(
    services, base_model, database_url, monkeypatch
):
    from sqlalchemy.engine import make_url

    from tests.runner.conftest import TOKEN, RunnerProcess, wait_until

    url = make_url(database_url)
    door = PostgresDoor(url.host or "127.0.0.1", url.port or 5432)
    shut_off = url.set(host="127.0.0.1", port=door.port).render_as_string(hide_password=False)
    request = tiny_request(services, base_model)
    submission = create_job(request, services)
    monkeypatch.setenv("TUNEWAY_DATABASE_URL", shut_off)
    monkeypatch.setenv("TUNEWAY_RUNNER_PORT", str(free_port()))
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    settings = load_settings()
    settings.secrets_dir.mkdir(parents=True)
    (settings.secrets_dir / "runner_token").write_text(TOKEN)
    runner = RunnerProcess(settings)
    runner.start()
    try:
        runner.client.submit(submission)
        folder = runner.folder(submission.job_key)
        wait_until(lambda: folder.metrics.exists() and folder.metrics.stat().st_size > 0, "the first step", 180)

        def row():
            with services.unit_of_work() as uow:  # past the door
                return uow.jobs.get(submission.finetuning_job_id)

        wait_until(lambda: row().progress is not None and row().progress.stage == "training", "progress in the row")
        door.shut()
        assert runner.client.wait(submission.job_key).state is JobState.SUCCEEDED
        assert row().progress.step < 96
        with services.unit_of_work() as uow:
            assert [lease.owner for lease in uow.leases.all()] == ["train-1#1"]
        with pytest.raises(UnavailableError):
            collect(submission.job_key, open_services(settings))
        assert "the database has to wait" in runner.log_path.read_text()

        door.open()
        wait_until(folder.attempt(1).settled.exists, "the attempt is settled")
        assert row().progress.step == 96
        with services.unit_of_work() as uow:
            assert uow.leases.all() == []
        report = collect(submission.job_key, open_services(settings))
        assert row().report == report
    finally:
        runner.end(9)


@pytest.mark.slow
def test_the_time_limit_ends_a_job_and_says_how_to_go_on(services, base_model, monkeypatch):
    submission = create_job(tiny_request(services, base_model), services)
    folder = JobFolder(services.settings.jobs_dir / submission.job_key)
    limited = submission.model_copy(update={"max_runtime_seconds": 3.0})
    folder.submission.write_text(limited.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-m", "runner.launcher", str(folder.root), "1"],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(JobFailedError, match="past its time limit") as caught:
        collect(submission.job_key, services)
    assert "resumes from its last checkpoint" in caught.value.next_step
    assert (read_json(folder.attempt(1).exit) or {})["exit_code"] == 143
