"""`tuneway model`: registered model versions. Each command calls one stage function and shows its record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.model_lines import title_of, warn_of_mlflow
from cli.texts import translate
from contracts.enums import ModelStatus
from settings import language

if TYPE_CHECKING:
    from rich.table import Table

    from cli.screen import Screen
    from contracts.model_listings import ModelDetail, ModelListing
    from contracts.registry import CatalogueDifference, Verification

STATUS_COLOURS = {ModelStatus.PRODUCTION: "green", ModelStatus.STAGING: "yellow", ModelStatus.ARCHIVED: "dim"}


def _help(key: str) -> str:
    return translate(f"model.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.model", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Model = Annotated[str, typer.Argument(metavar="MODEL", help=_help("arg_model"))]
Reason = Annotated[str, typer.Option("--reason", help=_help("opt_reason"))]


@app.command("list", help=_help("help_list"))
def list_all(
    name: Annotated[str | None, typer.Option(help=_help("opt_name"))] = None,
    status: Annotated[ModelStatus | None, typer.Option(help=_help("opt_status"))] = None,
    limit: Annotated[int, typer.Option(min=1, help=_help("opt_limit"))] = 200,
    as_json: AsJson = False,
) -> None:
    """Every version that a job made, newest first."""
    from stages.models import list_models

    with told(as_json) as (screen, services):
        listings = list_models(services, name=name, status=status, limit=limit)
        if as_json:
            print_json([listing.model_dump(mode="json") for listing in listings])
        elif listings:
            _show_list(listings, screen)
        else:
            screen.say("model.none")


@app.command(help=_help("help_show"))
def show(model: Model, as_json: AsJson = False) -> None:
    """One version with its numbers, and who brought what into production."""
    from stages.models import describe_model

    with told(as_json) as (screen, services):
        detail = describe_model(model, services)
        if as_json:
            print_json(detail.model_dump(mode="json"))
        else:
            _show_detail(detail, screen)


@app.command(help=_help("help_compare"))
def compare(
    models: Annotated[list[str], typer.Argument(metavar="MODEL MODEL...", help=_help("arg_models"))],
    cases: Annotated[int, typer.Option(min=0, help=_help("opt_cases"))] = 10,
    rows: Annotated[bool, typer.Option("--rows/--no-rows", help=_help("opt_rows"))] = True,
    as_json: AsJson = False,
) -> None:
    """Two or more versions side by side."""
    from cli.model_comparison import show_comparison
    from stages.compare_models import compare_models

    with told(as_json) as (screen, services):
        comparison = compare_models(models, services, shown=cases, with_rows=rows)
        if as_json:
            print_json(comparison.model_dump(mode="json"))
        else:
            show_comparison(comparison, screen)


@app.command(help=_help("help_promote"))
def promote(
    model: Model,
    reason: Reason,
    by: By,
    override: Annotated[bool, typer.Option("--override", help=_help("opt_override"))] = False,
    replaces: Annotated[str | None, typer.Option(help=_help("opt_replaces"))] = None,
    as_json: AsJson = False,
) -> None:
    """Staging to production."""
    from contracts.promotions import PromoteRequest
    from stages.models import find_model
    from stages.promote import promote as promote_version

    with told(as_json) as (screen, services):
        version = find_model(model, services)
        request = PromoteRequest(
            model_id=version.model_id,
            actor=by,
            reason=reason,
            override=override,
            replaces=None if replaces is None else find_model(replaces, services).model_id,
        )
        outcome = promote_version(request, services)
        previous = outcome.promotion.previous_model_id
        if as_json:
            print_json(outcome.model_dump(mode="json"))
            return
        screen.done("model.promoted" if outcome.happened_now else "model.promoted_before", model=title_of(version))
        if previous is not None:
            before = find_model(f"model:{previous}", services)
            screen.say("model.kept", model=title_of(before), name=version.model_name)
        warn_of_mlflow(outcome.mlflow_error, screen)


@app.command(help=_help("help_rollback"))
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_help("arg_name"))],
    reason: Reason,
    by: By,
    leaves: Annotated[str | None, typer.Option(help=_help("opt_leaves"))] = None,
    as_json: AsJson = False,
) -> None:
    """Production back to the version before."""
    from cli.deploy import roll_back_and_tell

    with told(as_json) as (screen, services):
        roll_back_and_tell(name, by, reason, leaves, screen, services, as_json=as_json)


@app.command(help=_help("help_archive"))
def archive(model: Model, reason: Reason, by: By, as_json: AsJson = False) -> None:
    """Put a version away."""
    _set_aside(model, ModelStatus.ARCHIVED, reason, by, as_json=as_json)


@app.command(help=_help("help_restore"))
def restore(model: Model, reason: Reason, by: By, as_json: AsJson = False) -> None:
    """Take an archived version back into staging."""
    _set_aside(model, ModelStatus.STAGING, reason, by, as_json=as_json)


@app.command(help=_help("help_card"))
def card(
    model: Model,
    in_language: Annotated[str, typer.Option("--language", help=_help("opt_language"))] = language(),
    as_json: AsJson = False,
) -> None:
    """The version's card, written anew."""
    from contracts.errors import InvalidRequestError, UnavailableError
    from stages.model_cards import write_card
    from stages.model_catalogue import mirror
    from stages.models import find_model

    with told(as_json) as (screen, services):
        if in_language not in {"ko", "en"}:
            raise InvalidRequestError(
                "There is no card in this language",
                value=in_language,
                allowed="ko, en",
                next_step="give --language ko or --language en",
            )
        version = find_model(model, services)
        text = write_card(version, in_language, services)
        error = None
        try:
            mirror(version.model_name, services, with_cards_of=[version.model_id])
        except UnavailableError as away:
            error = str(away)
        if as_json:
            print_json({"model_id": version.model_id, "language": in_language, "card": text, "mlflow_error": error})
            return
        sys.stdout.write(text)
        sys.stdout.flush()
        if error is None:
            screen.done("model.card_stored", model=title_of(version))
        else:
            screen.warn("model.mlflow_lags", error=error)


@app.command(help=_help("help_sign"))
def sign(
    model: Model,
    by: By,
    key: Annotated[Path, typer.Option("--key", help=_help("opt_key"))],
    as_json: AsJson = False,
) -> None:
    """Sign a version's folder with a private key."""
    from cli.model_provenance import show_provenance
    from stages.provenance import sign_version

    with told(as_json) as (screen, services):
        found = sign_version(model, key, services, actor=by)
        if as_json:
            print_json(found.model_dump(mode="json"))
        else:
            show_provenance(found, screen)


@app.command("signing-key", help=_help("help_signing_key"))
def signing_key(
    private: Annotated[Path, typer.Argument(metavar="PRIVATE.pem", help=_help("arg_private"))],
    public: Annotated[Path, typer.Argument(metavar="PUBLIC.pem", help=_help("arg_public"))],
    as_json: AsJson = False,
) -> None:
    """A new pair of keys for signatures."""
    from security.signing import make_key_pair

    with told(as_json) as (screen, _):
        make_key_pair(private, public)
        if as_json:
            print_json({"private_key": str(private), "public_key": str(public)})
        else:
            screen.done("model.key_made", private=private, public=public)


@app.command("watermark-detect", help=_help("help_watermark_detect"))
def watermark_detect(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=_help("arg_folder"))],
    of: Annotated[str | None, typer.Option("--of", help=_help("opt_of"))] = None,
    base: Annotated[Path | None, typer.Option("--base", help=_help("opt_base"))] = None,
    original: Annotated[Path | None, typer.Option("--original", help=_help("opt_original"))] = None,
    as_json: AsJson = False,
) -> None:
    """Whose model a folder holds, by the marks of ours; exit code 1 where none is found."""
    from cli.model_provenance import show_mark
    from contracts.enums import WatermarkVerdict
    from stages.provenance import find_mark

    with told(as_json) as (screen, services):
        mark, found = find_mark(folder, services, of=of, base=base, original=original)
        if as_json:
            print_json({"identity": mark.identity, **found.model_dump(mode="json")})
        else:
            show_mark(found, screen, mark.identity)
        if found.verdict is not WatermarkVerdict.DETECTED:
            raise typer.Exit(1)


@app.command(help=_help("help_verify"))
def verify(
    name: Annotated[str | None, typer.Argument(metavar="[NAME|FOLDER]", help=_help("arg_verify"))] = None,
    as_json: AsJson = False,
) -> None:
    """Files against their manifests, rows against MLflow; of one folder its signature and mark.

    Exit code 1 where something is wrong.
    """
    from cli.model_provenance import show_provenance
    from contracts.enums import SignatureState
    from stages.models import find_model
    from stages.provenance import check_provenance
    from stages.verify_models import verify_models

    with told(as_json) as (screen, services):
        if name is not None and Path(name).is_dir():
            provenance = check_provenance(Path(name), services.settings)
            if as_json:
                print_json(provenance.model_dump(mode="json"))
            else:
                show_provenance(provenance, screen)
            if provenance.signature.state is not SignatureState.INTACT:
                raise typer.Exit(1)
            return
        if name is not None:
            name = find_model(name, services).model_name
        found = verify_models(
            services,
            model_name=name,
            on_version=lambda version: screen.busy("model.verifying", model=title_of(version)),
        )
        screen.idle()
        if as_json:
            print_json({**found.model_dump(mode="json"), "is_whole": found.is_whole})
        else:
            _show_verification(found, screen)
        if not found.is_whole:
            raise typer.Exit(1)


@app.command(help=_help("help_repair"))
def repair(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=_help("arg_name"))] = None,
    as_json: AsJson = False,
) -> None:
    """MLflow made equal to PostgreSQL."""
    from stages.models import find_model
    from stages.verify_models import repair_catalogue

    with told(as_json) as (screen, services):
        if name is not None:
            name = find_model(name, services).model_name
        differing = repair_catalogue(services, model_name=name)
        if as_json:
            print_json([difference.model_dump(mode="json") for difference in differing])
            return
        _show_differences(differing, screen)
        if differing:
            screen.done("model.repaired", count=len(differing))
        else:
            screen.done("model.equal")


@app.command(help=_help("help_gc"))
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_help("opt_dry_run"))] = False, as_json: AsJson = False
) -> None:
    """Files that no version refers to, removed."""
    from cli.screen import in_units
    from stages.verify_models import collect_garbage

    with told(as_json) as (screen, services):
        garbage = collect_garbage(services, dry_run=dry_run)
        if as_json:
            print_json(garbage.model_dump(mode="json"))
            return
        screen.done(
            "model.would_collect" if dry_run else "model.collected",
            folders=len(garbage.folders),
            objects=garbage.objects,
            unfinished=garbage.unfinished,
            size=in_units(garbage.freed_bytes),
        )


def _set_aside(model: str, status: ModelStatus, reason: str, by: str, *, as_json: bool) -> None:
    from contracts.promotions import StatusRequest
    from stages.models import find_model
    from stages.promote import set_aside

    with told(as_json) as (screen, services):
        found = find_model(model, services)
        version = set_aside(StatusRequest(model_id=found.model_id, actor=by, reason=reason), status, services)
        if as_json:
            print_json(version.model_dump(mode="json"))
        else:
            screen.done(
                "model.archived" if status is ModelStatus.ARCHIVED else "model.restored", model=title_of(version)
            )


def _show_list(listings: list[ModelListing], screen: Screen) -> None:
    from cli.screen import in_units

    columns = ("model", "id", "stage", "accuracy", "verdict", "format", "size", "base", "endpoint")
    table = _table(screen, *columns)
    for listing in listings:
        version = listing.version
        table.add_row(
            title_of(version),
            str(version.model_id),
            _status(listing, screen),
            _accuracy(listing, screen),
            _decision(listing, screen),
            version.model_format.value,
            in_units(version.model_size_gb * 1e9),
            version.base_model,
            listing.endpoint or "",
        )
    screen.out.print(table)


def _show_detail(detail: ModelDetail, screen: Screen) -> None:
    from rich.markup import escape

    from cli.screen import in_units

    listing, version = detail.listing, detail.listing.version
    rows = {
        "model": title_of(version),
        "id": str(version.model_id),
        "stage": _status(listing, screen),
        "accuracy": _accuracy(listing, screen),
        "verdict": _decision(listing, screen),
        "description": escape(detail.description),
        "tags": escape(", ".join(detail.tags)),
        "base": escape(version.base_model),
        "job": "" if version.finetuning_job_id is None else str(version.finetuning_job_id),
        "format": version.model_format.value,
        "size": in_units(version.model_size_gb * 1e9),
        "endpoint": listing.endpoint or "",
        "created": listing.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        "folder": escape(version.model_path),
        "content": version.content_hash,
        "mlflow": version.mlflow_model_uri or "",
        "previous": "" if detail.previous_model_id is None else f"model:{detail.previous_model_id}",
    }
    table = _table(screen)
    table.show_header = False
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(screen.text(f"model.{name}"), value)
    screen.out.print(table)
    _show_deployment(detail, screen)
    if detail.suites:
        suites = _table(screen, "suite", "score", "value", "interval", "cases")
        for result in detail.suites:
            for score in result.scores:
                interval = "" if score.interval is None else f"{score.interval.lower:.4g}~{score.interval.upper:.4g}"
                suites.add_row(
                    escape(result.conditions.suite_name), score.name, f"{score.value:.4g}", interval, f"{score.n:,}"
                )
        screen.out.print(suites)
    if detail.promotions:
        changes = _table(screen, "when", "change", "model", "who", "why")
        for promotion in detail.promotions:
            kind = "override" if promotion.is_override else promotion.kind.value
            changes.add_row(
                promotion.promoted_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
                screen.text(f"model.kind_{kind}"),
                f"model:{promotion.model_id}",
                escape(promotion.actor),
                escape(promotion.reason),
            )
        screen.out.print(changes)


def _show_deployment(detail: ModelDetail, screen: Screen) -> None:
    from rich.markup import escape

    from contracts.words import DEPLOYMENT_STATES

    if detail.certificate is not None:
        found = detail.certificate
        told_value = screen.text(
            "deploy.certificate_value",
            passed=screen.text("deploy.certificate_passed" if found.passed else "deploy.certificate_failed"),
            prompts=found.prompts,
            tokens=found.tokens,
            ties=len(found.ties),
            engine=found.engine,
        )
        screen.out.print(f"{screen.text('deploy.certificate')}: {escape(told_value)}")
        for check in found.checks:
            mark = screen.text("deploy.untold") if check.passed is None else ("✓" if check.passed else "✗")
            screen.out.print(f"  {mark} {check.name}: {escape(check.detail)}")
    if detail.deployment is not None:
        steps = " → ".join(
            f"{DEPLOYMENT_STATES[step.to_state].of(screen.language)} {step.at.astimezone():%H:%M:%S}"
            for step in detail.deployment.transitions
        )
        screen.out.print(f"{screen.text('deploy.deployment')}: {steps}")
        if detail.deployment.deployment.failure is not None:
            screen.out.print(f"  {escape(str(detail.deployment.deployment.failure.get('what', '')))}")


def _show_verification(found: Verification, screen: Screen) -> None:
    from cli.screen import in_units

    for problem in found.problems:
        told_problem = screen.text(f"model.problem_{problem.problem.replace(' ', '_')}")
        screen.warn(
            "model.problem", model=f"{problem.model_name}@{problem.version}", path=problem.path, problem=told_problem
        )
    _show_differences(found.differences, screen)
    if found.mlflow_error is not None:
        screen.warn("model.mlflow_lags", error=found.mlflow_error)
    if found.is_whole:
        size = in_units(found.bytes_read)
        screen.done("model.verified", versions=found.versions, files=found.files, size=size)
    else:
        screen.warn("model.not_verified", problems=len(found.problems), differences=len(found.differences))


def _show_differences(differing: list[CatalogueDifference], screen: Screen) -> None:
    nothing = screen.text("model.nothing")
    for difference in differing:
        title = difference.model_name + (f"@{difference.version}" if difference.version else "")
        screen.warn(
            "model.difference",
            model=title,
            part=screen.text(f"model.part_{difference.part.value}"),
            name=difference.key,
            postgresql=difference.postgresql or nothing,
            mlflow=difference.mlflow or nothing,
        )


def _status(listing: ModelListing, screen: Screen) -> str:
    status = listing.version.status
    text = f"[{STATUS_COLOURS[status]}]{screen.text(f'model.status_{status.value}')}[/]"
    return f"{text} ({screen.text('model.is_previous')})" if listing.is_previous else text


def _accuracy(listing: ModelListing, screen: Screen) -> str:
    if listing.accuracy is None or listing.interval is None:
        return ""
    value, lower, upper = (
        f"{share * 100:.1f} %" for share in (listing.accuracy, listing.interval.lower, listing.interval.upper)
    )
    return screen.text("model.accuracy_value", value=value, lower=lower, upper=upper, n=listing.n)


def _decision(listing: ModelListing, screen: Screen) -> str:
    return "" if listing.decision is None else screen.text(f"model.decision_{listing.decision.value}")


def _table(screen: Screen, *columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(screen.text(f"model.{column}"), overflow="fold")
    return table
