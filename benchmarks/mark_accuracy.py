"""What a mark costs in right answers: a finished job's model as it was marked, and its weights before that, on test cases.

    python -m benchmarks.mark_accuracy --job 1 --cases demo/test_cases/regulations.jsonl    # TUNEWAY_DATA_DIR

The weights before the mark are those of the last checkpoint, for recipes whose output it is; both are asked on one server.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import REPOSITORY_ROOT, parser, report
from contracts.errors import InvalidRequestError
from contracts.training import TrainingReport
from deployment.ephemeral import running_server
from deployment.specification import ServerSpec, lora_adapter
from evaluation.asking import ask
from evaluation.suites.cases import score_answers
from evaluation.suites.kind import RunOptions
from evaluation.test_cases import most_common_system_prompt, read_suite
from security.watermark.detecting import detect_mark
from settings import load_settings
from stages.services import open_services
from stages.watermarks import master_key
from storage.files import read_json
from storage.job_folder import JobFolder
from storage.private_folders import remove_private_folders
from training.checkpoints import PREFIX
from training.opened_checkpoints import WEIGHTS, open_checkpoint

ADAPTER = "adapter_model.safetensors"
PURPOSE = "measured"


def main() -> None:
    """Ask both and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--job", type=int, default=1)
    arguments.add_argument("--cases", type=Path, default=REPOSITORY_ROOT / "demo" / "test_cases" / "regulations.jsonl")
    options = arguments.parse_args()
    services = open_services(load_settings())
    folder = JobFolder(services.settings.jobs_dir / f"train-{options.job}")
    done = TrainingReport.model_validate(read_json(folder.result))
    if done.watermark is None or not (Path(done.output_path) / ADAPTER).exists():
        raise InvalidRequestError("The job's output is no marked adapter", value=options.job)
    key = master_key(services.settings).derive(done.watermark.identity)
    with tempfile.TemporaryDirectory(prefix="tuneway-benchmark-") as place:
        plain = Path(place) / "plain"
        shutil.copytree(done.output_path, plain)
        (plain / "model.sig").unlink(missing_ok=True)
        try:
            final = open_checkpoint(folder.checkpoints / f"{PREFIX}{done.steps}", folder, PURPOSE, WEIGHTS)
            shutil.copyfile(final / ADAPTER, plain / ADAPTER)
        finally:
            remove_private_folders(folder.root, PURPOSE)
        measured = _asked(done, {"marked": Path(done.output_path), "plain": plain}, options, services, Path(place))
        for name, path in (("marked", Path(done.output_path)), ("plain", plain)):
            measured[name]["z"] = round(detect_mark(path, key).z, 1)
    report("mark_accuracy", options, measured, [[name, *line.values()] for name, line in measured.items()])


def _asked(
    done: TrainingReport, adapters: dict[str, Path], options: Any, services: Any, place: Path
) -> dict[str, dict[str, float]]:
    suite = read_suite(options.cases)
    with services.unit_of_work() as uow:
        dataset = uow.datasets.get(uow.jobs.get(options.job).dataset_id)
    system = most_common_system_prompt(Path(dataset.file_path) / "train.parquet")
    base = ServerSpec(model_path=done.base_model_path, served_model_name="base", gpu_ids=[])
    spec = base.with_adapters([lora_adapter(name, path) for name, path in adapters.items()])
    found: dict[str, dict[str, float]] = {}
    with running_server(spec, services.settings, place / "server.log") as endpoint:
        for name in adapters:
            answers = ask(suite.cases, endpoint_url=endpoint.base_url, model=name, system_prompt=system)
            scored = score_answers(suite.cases, answers, RunOptions())
            found[name] = {"cases": len(scored.cases), "right": sum(case.correct for case in scored.cases)}
    return found


if __name__ == "__main__":
    main()
