"""What `tuneway summary` tells, from a real database."""

import json
import re

from rich.console import Console
from typer.testing import CliRunner

from cli.screen import Screen
from cli.summary import as_json, loss_curve, print_summary, rows_removed
from contracts.datasets import DatasetVersion, ImportedDataset
from contracts.enums import StageName
from contracts.pipeline import PipelineSummary
from stages.summary import read_summary

IMPORTED = ImportedDataset(
    import_id="i",
    dataset_name="regulations",
    rows_path="r",
    quarantine_path="q",
    total_rows=95,
    broken_rows=5,
    files=[],
)
DATASET = DatasetVersion(
    dataset_id=1,
    name="regulations",
    version="v1.0",
    content_hash="a" * 64,
    file_path="/versions/a",
    total_samples=90,
    train_samples=80,
    val_samples=5,
    test_samples=5,
    removed={"exact_duplicate": 3, "foul_language": 2},
    masked={"이름": 4},
    quality_score=0.91,
    categories={"tolls": 90},
)


def printed(summary: PipelineSummary, language: str) -> str:
    console = Console(record=True, width=160, force_terminal=False)
    print_summary(summary, Screen(language, out=console))
    return console.export_text()


def test_rows_in_are_the_rows_kept_and_the_rows_removed():
    summary = PipelineSummary(run_id="r", finished=True, imported=IMPORTED, dataset=DATASET)
    told = as_json(summary)
    assert told["rows_in"] == 100
    assert rows_removed(summary) == {"broken_row": 5, "exact_duplicate": 3, "foul_language": 2}
    assert told["rows_kept"] == 100 - sum(rows_removed(summary).values())


def test_a_run_reads_the_same_from_the_database(services):
    with services.unit_of_work() as uow:
        uow.pipeline_runs.start("run-1", "finetune_pipeline", {})
        uow.pipeline_runs.stage_succeeded("run-1", StageName.IMPORT_DATASET, IMPORTED)
        uow.pipeline_runs.stage_succeeded("run-1", StageName.PREPARE, DATASET)
        uow.pipeline_runs.stage_failed("run-1", StageName.TRAIN, {"what": "disk full", "next_step": "free some"})
    summary = read_summary(services)
    assert summary.imported == IMPORTED
    assert summary.dataset == DATASET
    assert summary.failed_stage is StageName.TRAIN
    assert not summary.finished
    text = printed(summary, "ko")
    for words in ("regulations v1.0", "100행 가운데 10행 제외", "비속어 2", "이름 4", "disk full", "free some"):
        assert words in text


def test_the_command_prints_only_json_on_standard_output(services):
    import typer

    from cli.summary import summary as command

    with services.unit_of_work() as uow:
        uow.pipeline_runs.start("run-1", "finetune_pipeline", {})
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, ["run-1", "--json"], catch_exceptions=False)
    assert json.loads(result.stdout)["run_id"] == "run-1"


def test_english_is_one_setting_away():
    text = printed(PipelineSummary(run_id="r", finished=True, imported=IMPORTED, dataset=DATASET), "en")
    assert "10 of 100 rows removed: broken row 5, exact duplicate 3, foul language 2" in text
    assert not re.search("[가-힣]", text)


def test_the_loss_curve_falls_from_the_highest_block_to_the_lowest():
    curve = loss_curve([(step, 100.0 - step) for step in range(100)])
    assert len(curve) == 60
    assert (curve[0], curve[-1]) == ("█", "▁")
    assert list(curve) == sorted(curve, reverse=True)
    assert loss_curve([]) == ""
    assert loss_curve([(1, 2.0)]) == "▁"
