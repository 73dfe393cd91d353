"""What a job's launcher is told."""

from contracts.enums import JobKind
from contracts.jobs import JobSubmission
from settings import load_settings
from stages import launching
from storage.job_folder import JobFolder


def test_a_killed_compilation_does_not_keep_the_next_job_waiting(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path / "data"))
    settings = load_settings()
    told = []
    monkeypatch.setattr("stages.launching.subprocess.Popen", lambda command, **options: told.append(options["env"]))
    folder = JobFolder(tmp_path / "train-1")
    folder.attempt(1).log.parent.mkdir(parents=True)
    submission = JobSubmission(job_key="train-1", kind=JobKind.TRAIN, request={}, num_gpus=2)
    launching.start_launcher(settings, folder, submission, [0, 1], 0)
    (environment,) = told
    extensions = settings.cache_dir / "torch_extensions"
    assert environment["TORCH_EXTENSIONS_DIR"].startswith(str(extensions))
    lock = next(extensions.iterdir()) / "deepspeed_shm_comm" / "lock"
    lock.parent.mkdir()
    lock.touch()
    launching.start_launcher(settings, folder, submission, [0, 1], 0)
    assert not lock.exists()
