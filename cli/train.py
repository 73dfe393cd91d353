"""`tuneway train`: fine-tune by a recipe. Each command calls one function and shows its record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answers import print_json, told
from cli.texts import translate
from contracts.enums import Method, Priority, RemovalReason
from contracts.errors import InvalidRequestError
from contracts.jobs import DEFAULT_PROJECT, PROJECT_PATTERN
from contracts.record import utc_now
from contracts.training import MAX_NODES
from contracts.words import REMOVAL_REASONS
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.training import Hyperparameters, TrainingReport, TrainRequest
    from stages.services import Services


def _help(key: str) -> str:
    return translate(f"train.{key}", language())


app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=translate("help.train", language())
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help=_help("arg_recipe"))]
Dataset = Annotated[str | None, typer.Option("--dataset", help=_help("opt_dataset"))]
BaseModel = Annotated[str | None, typer.Option("--base-model", help=_help("opt_base_model"))]
MethodName = Annotated[Method | None, typer.Option("--method", help=_help("opt_method"))]
NumGpus = Annotated[int | None, typer.Option("--num-gpus", min=1, help=_help("opt_num_gpus"))]
NumNodes = Annotated[int, typer.Option("--num-nodes", min=1, max=MAX_NODES, help=_help("opt_num_nodes"))]
Seed = Annotated[int, typer.Option("--seed", min=0, help=_help("opt_seed"))]
Changes = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help=_help("opt_set"))]


@app.command(help=_help("help_start"))
def start(
    recipe: RecipeName,
    dataset: Dataset = None,
    base_model: BaseModel = None,
    job_name: Annotated[str | None, typer.Option("--job-name", help=_help("opt_job_name"))] = None,
    method: MethodName = None,
    num_gpus: NumGpus = None,
    num_nodes: NumNodes = 1,
    seed: Seed = 0,
    changes: Changes = None,
    project: Annotated[str, typer.Option("--project", help=_help("opt_project"))] = DEFAULT_PROJECT,
    priority: Annotated[Priority, typer.Option("--priority", help=_help("opt_priority"))] = Priority.NORMAL,
    through: Annotated[str | None, typer.Option("--through", help=_help("opt_through"))] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_help("opt_dry_run"))] = False,
    as_json: AsJson = False,
) -> None:
    """Train, or with --dry-run tell by which numbers."""
    with told(as_json) as (screen, services):
        if dry_run:
            _show_configuration(
                resolved_configuration(recipe, base_model, method, num_gpus, seed, changes, services, num_nodes),
                as_json,
            )
            return
        from cli.run_stage import only_the_result_on_stdout
        from stages.train import train
        from stages.watch_training import command_of, train_through

        if through is not None:
            command_of(through)
        request = train_request(
            recipe, dataset, base_model, job_name, method, num_gpus, seed, changes, services, num_nodes
        )
        project = validated_project(project)
        screen.say("train.started", name=request.job_name)
        with only_the_result_on_stdout() as out:
            if through is None:
                report = train(request, services, project=project, priority=priority)
            else:
                report = train_through(request, through, services, project=project, priority=priority)
            if as_json:
                out.write(report.model_dump_json(indent=1) + "\n")
        _tell_report(report, screen)


@app.command(help=_help("help_plan"))
def plan(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|REQUEST.json", help=_help("arg_recipe_or_request"))],
    dataset: Dataset = None,
    base_model: BaseModel = None,
    method: MethodName = None,
    num_gpus: NumGpus = None,
    num_nodes: NumNodes = 1,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Memory, disk and time that a run will need, and whether they are there."""
    from cli.train_plan import read_request, show_plan
    from stages.dataset_versions import version_row
    from stages.plan_training import plan_request, plan_training
    from training.recipe import load_recipe

    with told(as_json) as (screen, services):
        if recipe.endswith(".json"):
            found = plan_request(read_request(Path(recipe)), services)
        elif base_model is None:
            raise InvalidRequestError(
                "A plan wants a base model", value="no --base-model", next_step="add --base-model NAME"
            )
        else:
            found = plan_training(
                recipe,
                services,
                base_model=base_model,
                method=method,
                hyperparameters=hyperparameters(changes),
                num_gpus=num_gpus or load_recipe(recipe, services.settings.recipes_dir).num_gpus,
                num_nodes=num_nodes,
                dataset_id=None if dataset is None else version_row(dataset, services).dataset_id,
            )
        if as_json:
            print_json(found.model_dump(mode="json"))
        else:
            show_plan(found, screen)


@app.command(help=_help("help_replay"))
def replay(job: Annotated[str, typer.Argument(metavar="JOB", help=_help("arg_job"))], as_json: AsJson = False) -> None:
    """A finished job once more; exit code 1 where it comes out another."""
    from cli.run_stage import only_the_result_on_stdout
    from stages.jobs import find_job
    from stages.replay import replay as replay_job

    with told(as_json) as (screen, services):
        folder = find_job(job, services.settings)
        screen.say("train.replaying", job=folder.root.name)
        with only_the_result_on_stdout() as out:
            report = replay_job(folder, services)
            if as_json:
                out.write(report.model_dump_json(indent=1) + "\n")
        for part in report.environment:
            screen.warn("train.replay_environment", name=part.name, before=part.before, after=part.after)
        if report.identical:
            screen.done("train.replay_identical", job=report.replay_key, values=report.compared_values)
            return
        first = report.first_difference
        if first is None:
            screen.warn("train.replay_weights", job=report.replay_key)
        else:
            screen.warn("train.replay_differs", job=report.replay_key, **first.model_dump())
    raise typer.Exit(1)


@app.command(help=_help("help_export"))
def export(
    recipe: RecipeName,
    to: Annotated[str, typer.Option("--to", help=_help("opt_to"))],
    out: Annotated[Path, typer.Option("--out", help=_help("opt_out"))],
    dataset: Dataset = None,
    base_model: BaseModel = None,
    job_name: Annotated[str | None, typer.Option("--job-name", help=_help("opt_job_name"))] = None,
    method: MethodName = None,
    num_gpus: NumGpus = None,
    seed: Seed = 0,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """The run as a folder for another trainer."""
    from stages.export_training import export_training

    with told(as_json) as (screen, services):
        request = train_request(recipe, dataset, base_model, job_name, method, num_gpus, seed, changes, services)
        exported = export_training(request, to, out, services)
        if as_json:
            print_json(exported.model_dump(mode="json"))
        else:
            screen.done("train.exported", folder=exported.folder, command=exported.command)


@app.command(help=_help("help_adopt"))
def adopt(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=_help("arg_folder"))], as_json: AsJson = False
) -> None:
    """What another trainer did in an exported folder, as a job of ours."""
    from stages.adopt_training import adopt_training

    with told(as_json) as (screen, services):
        report = adopt_training(folder, services)
        if as_json:
            print_json(report.model_dump(mode="json"))
        _tell_report(report, screen)


@app.command(help=_help("help_watch"))
def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=_help("arg_watched"))],
    recipe: Annotated[str | None, typer.Option("--recipe", help=_help("opt_watched_recipe"))] = None,
    dataset: Dataset = None,
    base_model: BaseModel = None,
    job_name: Annotated[str | None, typer.Option("--as", help=_help("opt_job_name"))] = None,
    log: Annotated[Path | None, typer.Option("--log", help=_help("opt_watched_log"))] = None,
    as_json: AsJson = False,
) -> None:
    """Follow another trainer's run to its end: progress, metrics and checkpoints as of a job of ours."""
    from cli.run_stage import only_the_result_on_stdout
    from stages.adopt_training import exported_request
    from stages.watch_training import watch_training

    with told(as_json) as (screen, services):
        if recipe is None:
            request, output = exported_request(folder), folder / "output"
        else:
            # the folder's name: the same folder again is the same job
            name = job_name or folder.resolve().name
            request = train_request(recipe, dataset, base_model, name, None, None, 0, None, services)
            output = folder
        screen.say("train.watching", name=request.job_name, folder=output)
        with only_the_result_on_stdout() as out:
            report = watch_training(request, output, services, log=log)
            if as_json:
                out.write(report.model_dump_json(indent=1) + "\n")
        _tell_report(report, screen)


@app.command(help=_help("help_preferences"))
def preferences(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_help("arg_preferences"))],
    pairs_file: Annotated[Path | None, typer.Option("--file", help=_help("opt_pairs_file"))] = None,
    experiment: Annotated[int | None, typer.Option("--experiment", min=1, help=_help("opt_experiment"))] = None,
    rating_task: Annotated[str | None, typer.Option("--rating-task", help=_help("opt_rating_task"))] = None,
    difference: Annotated[float | None, typer.Option("--min-rating-difference", help=_help("opt_difference"))] = None,
    test_suites: Annotated[list[str] | None, typer.Option("--test-suite", help=_help("opt_test_suites"))] = None,
    as_json: AsJson = False,
) -> None:
    """A dataset version of pairs, for a recipe with the objective dpo."""
    from cli.run_stage import validated
    from contracts.preferences import PreferencesRequest
    from stages.preferences import make_preferences

    with told(as_json) as (screen, services):
        given = {
            "dataset_name": name,
            "pairs_file": None if pairs_file is None else str(pairs_file.absolute()),
            "experiment_id": experiment,
            "rating_task": rating_task,
            "min_rating_difference": difference,
            "test_suites": test_suites,
        }
        request = validated(PreferencesRequest, {key: value for key, value in given.items() if value is not None})
        made = make_preferences(request, services)
        if as_json:
            print_json(made.model_dump(mode="json"))
        else:
            screen.done(
                "train.preferences_made",
                name=made.name,
                version=made.version,
                dataset_id=made.dataset_id,
                train=made.train_samples,
                val=made.val_samples,
            )
            if made.removed:
                reasons = ", ".join(
                    f"{REMOVAL_REASONS[RemovalReason(name)].of(language())} {count:,}"
                    for name, count in made.removed.items()
                )
                screen.say("train.preferences_removed", reasons=reasons)


@app.command(help=_help("help_recipes"))
def recipes(as_json: AsJson = False) -> None:
    """The recipes there are: ours and the site's."""
    from training.recipe import load_recipe, recipe_names

    with told(as_json) as (screen, services):
        site = services.settings.recipes_dir
        found = {name: load_recipe(name, site) for name in recipe_names(site)}
        if as_json:
            print_json({name: recipe.model_dump(mode="json") for name, recipe in found.items()})
            return
        for name, recipe in found.items():
            screen.out.print(screen.text("train.recipe_line", name=name, description=recipe.description), markup=False)


def train_request(
    recipe: str,
    dataset: str | None,
    base_model: str | None,
    job_name: str | None,
    method: Method | None,
    num_gpus: int | None,
    seed: int,
    changes: list[str] | None,
    services: Services,
    num_nodes: int = 1,
) -> TrainRequest:
    """The request that the options make; what is not given is the recipe's. Raises InvalidRequestError."""
    from cli.run_stage import validated
    from contracts.training import TrainRequest
    from stages.dataset_versions import version_row
    from training.recipe import load_recipe

    missing = [name for name, given in (("--dataset", dataset), ("--base-model", base_model)) if given is None]
    if dataset is None or base_model is None:
        raise InvalidRequestError(
            "Training wants a dataset version and a base model",
            value=f"no {' and no '.join(missing)}",
            next_step=f"add {' and '.join(missing)}, or --dry-run to see the recipe's numbers",
        )
    loaded = load_recipe(recipe, services.settings.recipes_dir)
    return validated(
        TrainRequest,
        {
            "job_name": job_name or f"{recipe}-{utc_now():%Y%m%d-%H%M%S}",
            "dataset_id": version_row(dataset, services).dataset_id,
            "base_model": base_model,
            "method": method or loaded.method,
            "recipe": recipe,
            "hyperparameters": hyperparameters(changes),
            "num_gpus": num_gpus or loaded.num_gpus,
            "num_nodes": num_nodes,
            "seed": seed,
        },
    )


def validated_project(name: str) -> str:
    """The project's name. Raises InvalidRequestError where it cannot be one."""
    import re

    if not re.fullmatch(PROJECT_PATTERN, name):
        raise InvalidRequestError("The project's name is not valid", value=name, allowed=PROJECT_PATTERN)
    return name


def hyperparameters(changes: list[str] | None) -> Hyperparameters:
    """`NAME=VALUE` options as the record they change. Raises InvalidRequestError."""
    from cli.run_stage import validated
    from contracts.training import Hyperparameters

    given: dict[str, object] = {}
    for change in changes or []:
        name, found, value = change.partition("=")
        if not found:
            raise InvalidRequestError(
                "--set wants a name and a value",
                value=change,
                allowed=", ".join(Hyperparameters.model_fields),
                next_step="for example --set learning_rate=1e-4",
            )
        given[name.strip()] = value.strip()
    return validated(Hyperparameters, given)


def resolved_configuration(
    recipe: str,
    base_model: str | None,
    method: Method | None,
    num_gpus: int | None,
    seed: int,
    changes: list[str] | None,
    services: Services,
    num_nodes: int = 1,
) -> dict[str, Any]:
    """Everything a run would be told, as it stands in its plan."""
    from stages.model_gate import base_model_folder
    from training.recipe import load_recipe, resolve_recipe

    settings = services.settings
    loaded = load_recipe(recipe, settings.recipes_dir)
    resolved = resolve_recipe(recipe, hyperparameters(changes), method or loaded.method, settings.recipes_dir)
    found = None if base_model is None else str(base_model_folder(base_model, settings))
    gpus = num_gpus or resolved.num_gpus
    return {
        "recipe_name": recipe,
        "base_model_path": found,
        "seed": seed,
        "samples_per_step": resolved.batch_size * resolved.gradient_accumulation_steps * gpus * num_nodes,
        "recipe": {**resolved.model_dump(mode="json"), "num_gpus": gpus},
    }


def _tell_report(report: TrainingReport, screen: Screen) -> None:
    screen.done(
        "train.finished",
        name=report.job_name,
        steps=report.steps,
        loss=report.train_loss,
        output=report.output_path,
    )


def _show_configuration(configuration: dict[str, Any], as_json: bool) -> None:
    import yaml

    if as_json:
        print_json(configuration)
    else:
        sys.stdout.write(yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True))
