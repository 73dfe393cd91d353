"""`tuneway summary`: what a pipeline run did, for people or as JSON."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cli.texts import TEXTS
from contracts.arms import arm_label
from contracts.enums import PersonalDataKind, RemovalReason
from contracts.words import PERSONAL_DATA_KINDS, REMOVAL_REASONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from cli.screen import Screen
    from contracts.evaluation import Accuracy, EvaluationReport, SuiteReport
    from contracts.pipeline import PipelineSummary
    from contracts.record import JsonObject

    Text = Callable[..., str]

DECISION_STYLES = {"pass": "green", "fail": "red", "undecided": "yellow"}
CURVE_BLOCKS = " ▁▂▃▄▅▆▇█"
CURVE_WIDTH = 60


def rows_removed(summary: PipelineSummary) -> dict[str, int]:
    """Rows that did not reach the dataset version, by reason, broken ones included."""
    removed: dict[str, int] = {}
    if summary.imported is not None and summary.imported.broken_rows:
        removed["broken_row"] = summary.imported.broken_rows
    if summary.dataset is not None:
        for reason, count in summary.dataset.removed.items():
            removed[reason] = max(count, removed.get(reason, 0)) if reason == "broken_row" else count
    return removed


def _accuracy(accuracy: Accuracy) -> JsonObject:
    return {
        "value": accuracy.accuracy,
        "lower": accuracy.interval.lower,
        "upper": accuracy.interval.upper,
        "n": accuracy.n,
        "correct": accuracy.correct,
    }


def _suite(suite: SuiteReport) -> JsonObject:
    return {
        "accuracy_base": _accuracy(suite.base),
        "accuracy_tuned": _accuracy(suite.tuned),
        "won": suite.won,
        "lost": suite.lost,
        "mcnemar_p": suite.mcnemar_p,
    }


def as_json(summary: PipelineSummary) -> JsonObject:
    """The summary's stable, flat form: what `--json` prints. Parts that the run has not reached are null."""
    imported, dataset, training = summary.imported, summary.dataset, summary.training
    evaluation, gate, model = summary.evaluation, summary.gate, summary.model
    removed: JsonObject = dict(rows_removed(summary))
    return {
        "run_id": summary.run_id,
        "finished": summary.finished,
        "failed_stage": None if summary.failed_stage is None else summary.failed_stage.value,
        "error": summary.error,
        "dataset_id": None if dataset is None else dataset.dataset_id,
        "dataset_name": None if dataset is None else dataset.name,
        "dataset_version": None if dataset is None else dataset.version,
        "rows_in": None if imported is None else imported.total_rows + imported.broken_rows,
        "rows_kept": None if dataset is None else dataset.total_samples,
        "rows_removed": removed,
        "personal_data_masked": {} if dataset is None else dict(dataset.masked),
        "job_id": None if training is None else training.job_id,
        "mlflow_run_id": None if training is None else training.mlflow_run_id,
        "train_loss": None if training is None else training.train_loss,
        "eval_loss": None if training is None else training.eval_loss,
        "weights_sha256": None if training is None else training.weights_sha256,
        "accuracy_base": None if evaluation is None else _accuracy(evaluation.main.base),
        "accuracy_tuned": None if evaluation is None else _accuracy(evaluation.main.tuned),
        "other_suites": {} if evaluation is None else {suite.name: _suite(suite) for suite in evaluation.extras},
        "answered_by": None if evaluation is None else evaluation.backend.value,
        "gate": None if gate is None else gate.decision.value,
        "gate_reasons": [] if gate is None else list(gate.reasons),
        "accuracy_bar": None if gate is None else gate.accuracy_bar,
        "model_id": None if model is None else model.model_id,
        "model_name": None if model is None else model.model_name,
        "model_version": None if model is None else model.version,
        "mlflow_model_uri": None if model is None else model.mlflow_model_uri,
        "endpoint": None if summary.deployment is None else summary.deployment.endpoint,
        "arms": {}
        if summary.deployment is None
        else {arm.arm.value: arm.served_model_name for arm in summary.deployment.arms},
        "experiment_id": None if summary.experiment is None else summary.experiment.experiment_id,
        "experiment_name": None if summary.experiment is None else summary.experiment.experiment_name,
    }


def loss_curve(points: list[tuple[int, float]]) -> str:
    """The losses as one line of block characters, highest at the top."""
    if not points:
        return ""
    losses = [loss for _, loss in points]
    if len(losses) > CURVE_WIDTH:
        edges = [round(index * len(losses) / CURVE_WIDTH) for index in range(CURVE_WIDTH + 1)]
        losses = [sum(losses[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(losses), max(losses)
    span = (high - low) or 1.0
    return "".join(CURVE_BLOCKS[1 + round((loss - low) / span * (len(CURVE_BLOCKS) - 2))] for loss in losses)


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def _interval(accuracy: Accuracy) -> str:
    lower, upper = accuracy.interval.lower * 100, accuracy.interval.upper * 100
    return f"{_percent(accuracy.accuracy)}  [95 %: {lower:.1f}~{upper:.1f}]  {accuracy.correct:,}/{accuracy.n:,}"


def _dataset_lines(summary: PipelineSummary, screen: Screen) -> list[tuple[str, str]]:
    dataset, imported, text = summary.dataset, summary.imported, screen.text
    if dataset is None:
        return []
    shares = text(
        "summary.dataset_value",
        train=dataset.train_samples,
        val=dataset.val_samples,
        test=dataset.test_samples,
        quality=dataset.quality_score,
    )
    lines = [(text("summary.dataset"), f"[bold]{dataset.name} {dataset.version}[/]  {shares}")]
    if imported is not None:
        removed = rows_removed(summary)
        rows = imported.total_rows + imported.broken_rows
        reasons = ", ".join(
            f"{REMOVAL_REASONS[RemovalReason(reason)].of(screen.language)} {count:,}"
            for reason, count in removed.items()
            if count
        )
        key = "summary.cleaning_value" if reasons else "summary.nothing_removed"
        lines.append((text("summary.cleaning"), text(key, rows=rows, removed=sum(removed.values()), reasons=reasons)))
    if dataset.masked:
        masked = ", ".join(
            f"{PERSONAL_DATA_KINDS[PersonalDataKind(kind.strip('[]'))].of(screen.language)} {count:,}"
            for kind, count in sorted(dataset.masked.items())
        )
        lines.append((text("summary.masked"), escape(masked)))
    return lines


def _training_lines(summary: PipelineSummary, text: Text) -> list[tuple[str, str]]:
    training = summary.training
    if training is None:
        return []
    method = f"method.{training.method}"
    told = text(
        "summary.training_value",
        method=text(method) if method in TEXTS else training.method.value,
        base=training.base_model,
        steps=training.steps,
        seconds=training.duration_seconds,
        speed=training.tokens_per_second,
        memory=training.peak_memory_mb,
    )
    if training.resumed_from_step is not None:
        told += text("summary.resumed", step=training.resumed_from_step)
    lines = [(text("summary.training"), told)]
    if training.loss_curve:
        first, last = training.loss_curve[0][1], training.loss_curve[-1][1]
        lines.append((text("summary.loss"), f"{loss_curve(training.loss_curve)}  {first:.3f} → {last:.3f}"))
    return lines


def _accuracy_table(evaluation: EvaluationReport, text: Text) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("suite", "base", "tuned", "changed"):
        table.add_column(text(f"summary.column_{column}"), no_wrap=True)
    for position, suite in enumerate((evaluation.main, *evaluation.extras)):
        table.add_row(
            suite.name,
            _interval(suite.base),
            _interval(suite.tuned),
            f"+{suite.won} / -{suite.lost}",
            style="bold" if position == 0 else "",
        )
    return table


def print_summary(summary: PipelineSummary, screen: Screen) -> None:
    """The summary as a person reads it, on standard output."""
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table

    text = screen.text
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in [*_dataset_lines(summary, screen), *_training_lines(summary, text)]:
        grid.add_row(name, value)
    if summary.evaluation is not None:
        grid.add_row(text("summary.accuracy"), _accuracy_table(summary.evaluation, text))
    if summary.gate is not None:
        decision = summary.gate.decision.value
        bar = text("summary.gate_bar", bar=_percent(summary.gate.accuracy_bar))
        style = DECISION_STYLES[decision]
        grid.add_row(text("summary.gate"), f"[bold {style}]{text(f'summary.{decision}')}[/] ({bar})")
        for reason in summary.gate.reasons:
            grid.add_row("", f"[dim]· {escape(reason)}[/]")
    if summary.model is not None:
        model = summary.model
        grid.add_row(text("summary.model"), f"[bold]{model.model_name} v{model.version}[/]  {escape(model.model_path)}")
    if summary.deployment is not None:
        arms = ", ".join(f"{arm.arm.value.upper()} = {arm.served_model_name}" for arm in summary.deployment.arms)
        backend = summary.deployment.arms[0].backend.value
        grid.add_row(text("summary.service"), f"{summary.deployment.endpoint}  ({arms}; {backend})")
    if summary.experiment is not None:
        experiment = summary.experiment
        told = text(
            "summary.experiment_value",
            name=experiment.experiment_name,
            split=" : ".join(f"{arm_label(arm.name)} {arm.share:.0%}" for arm in experiment.arms),
            target=experiment.target_samples,
        )
        grid.add_row(text("summary.experiment"), told)
    if summary.failed_stage is not None and summary.error is not None:
        failed = f"{summary.failed_stage.value}: {escape(str(summary.error.get('what')))}"
        grid.add_row(f"[red]{text('summary.failed_stage')}[/]", failed)
        if summary.error.get("next_step"):
            grid.add_row("", escape(text("summary.next", step=summary.error["next_step"])))
    key = "summary.title" if summary.finished else "summary.title_running"
    panel = Panel(grid, title=escape(text(key, run_id=summary.run_id)), border_style="cyan")
    screen.out.print(Padding(panel, (1, 0)))


def summary(
    run_id: Annotated[str | None, typer.Argument(help="A run's id; without it the newest run.")] = None,
    as_json_text: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Show what a pipeline run made: data, accuracy, verdict, model, endpoint."""
    from cli.screen import make_screen
    from stages.services import open_services
    from stages.summary import read_summary

    found = read_summary(open_services(), run_id)
    if as_json_text:
        typer.echo(json.dumps(as_json(found), ensure_ascii=False, indent=1))
    else:
        print_summary(found, make_screen())
