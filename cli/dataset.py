"""`tuneway dataset`: training data from files to versions. Each command calls one function and shows its record."""

from __future__ import annotations

import getpass
import os
from difflib import get_close_matches
from errno import EACCES
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answers import print_json, told
from cli.texts import translate
from contracts.enums import MaskingAction, Split, SplitUnit
from contracts.errors import InvalidRequestError
from contracts.record import Record
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from stages.services import Services


def _help(key: str) -> str:
    return translate(f"dataset.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.dataset", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Version = Annotated[str, typer.Argument(metavar="VERSION", help=_help("arg_version"))]
Name = Annotated[str, typer.Argument(metavar="NAME", help=_help("arg_name"))]
Branch = Annotated[str, typer.Option("--branch", help=_help("opt_branch"))]
Ratio = Annotated[float | None, typer.Option(min=0, max=1, help=_help("opt_ratio"))]


@app.command("import", help=_help("help_import"))
def import_files(
    name: Name,
    files: Annotated[list[str], typer.Argument(metavar="FILES...", help=_help("arg_files"))],
    question: Annotated[str | None, typer.Option(help=_help("opt_question"))] = None,
    answer: Annotated[str | None, typer.Option(help=_help("opt_answer"))] = None,
    category: Annotated[str | None, typer.Option(help=_help("opt_category"))] = None,
    source: Annotated[str | None, typer.Option(help=_help("opt_source"))] = None,
    template: Annotated[str | None, typer.Option(help=_help("opt_template"))] = None,
    context: Annotated[str | None, typer.Option(help=_help("opt_context"))] = None,
    max_rows: Annotated[int | None, typer.Option(min=1, help=_help("opt_max_rows"))] = None,
    propose: Annotated[bool, typer.Option("--propose", help=_help("opt_propose"))] = False,
    as_json: AsJson = False,
) -> None:
    """Bring files in, or with --propose tell what each would become."""
    from cli.run_stage import validated
    from contracts.datasets import ImportRequest

    with told(as_json) as (screen, services):
        columns = {
            "question": question,
            "answer": answer,
            "category": category,
            "source": source,
            "question_template": template,
            "context": context,
        }
        request = validated(
            ImportRequest,
            {
                "dataset_name": name,
                "input_files": [_absolute(file) for file in files],
                "columns": {key: value for key, value in columns.items() if value is not None},
                "max_rows": max_rows,
            },
        )
        if propose:
            _propose(request, services)
            return
        from stages.import_dataset import import_dataset

        imported = import_dataset(request, services, _progress(screen))
        if as_json:
            _print_record(imported)
            return
        screen.done(
            "dataset.imported",
            rows=imported.total_rows,
            broken=imported.broken_rows,
            import_id=imported.import_id,
        )
        screen.say("dataset.import_next", import_id=imported.import_id)


@app.command(help=_help("help_prepare"))
def prepare(
    import_id: Annotated[str, typer.Argument(metavar="IMPORT_ID", help=_help("arg_import"))],
    name: Annotated[str | None, typer.Option(help=_help("arg_name"))] = None,
    train: Ratio = None,
    val: Ratio = None,
    test: Ratio = None,
    threshold: Annotated[float | None, typer.Option(help=_help("opt_threshold"))] = None,
    min_quality: Annotated[float | None, typer.Option(help=_help("opt_min_quality"))] = None,
    policy: Annotated[str | None, typer.Option(help=_help("opt_policy"))] = None,
    suite: Annotated[list[str] | None, typer.Option(help=_help("opt_suite"))] = None,
    unit: Annotated[SplitUnit | None, typer.Option(help=_help("opt_unit"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("opt_seed"))] = None,
    branch: Annotated[str | None, typer.Option(help=_help("opt_branch"))] = None,
    as_json: AsJson = False,
) -> None:
    """Clean an import into a version. What is not given has the default of PrepareRequest."""
    from cli.run_stage import validated
    from contracts.datasets import PrepareRequest
    from data_prep.imports.importing import load_import
    from stages.prepare import prepare as prepare_stage

    with told(as_json) as (screen, services):
        given: dict[str, object] = {
            "import_id": import_id,
            "dataset_name": name or load_import(services.settings.datasets_dir / "imports", import_id).dataset_name,
            "near_duplicate_threshold": threshold,
            "min_quality_score": min_quality,
            "policy": policy,
            "test_suites": [_absolute(path) for path in suite] if suite else None,
            "split_unit": unit,
            "seed": seed,
            "branch": branch,
        }
        if (train, val, test) != (None, None, None):
            given |= dict(zip(("train_ratio", "val_ratio", "test_ratio"), _ratios(train, val, test), strict=True))
        request = validated(PrepareRequest, {key: value for key, value in given.items() if value is not None})
        version = prepare_stage(request, services, _progress(screen))
        if as_json:
            _print_record(version)
            return
        screen.done(
            "dataset.prepared",
            name=version.name,
            version=version.version,
            dataset_id=version.dataset_id,
            rows=version.total_samples,
            removed=sum(version.removed.values()),
            masked=sum(version.masked.values()),
        )


@app.command("list", help=_help("help_list"))
def list_all(as_json: AsJson = False) -> None:
    """Every dataset with its newest version."""
    from cli.dataset_tables import show_list
    from stages.dataset_versions import list_datasets

    with told(as_json) as (screen, services):
        found = list_datasets(services)
        if as_json:
            print_json([dataset.model_dump(mode="json") for dataset in found])
        else:
            show_list(found, screen)


@app.command(help=_help("help_log"))
def log(version: Version, as_json: AsJson = False) -> None:
    """The commits that led to a version."""
    from cli.dataset_tables import show_log
    from stages.dataset_versions import log_versions

    with told(as_json) as (screen, services):
        commits = log_versions(version, services)
        if as_json:
            print_json([commit.model_dump(mode="json") for commit in commits])
        else:
            show_log(commits, screen)


@app.command(help=_help("help_diff"))
def diff(
    before: Version,
    after: Version,
    other: Annotated[str | None, typer.Argument(metavar="[AFTER]", help=_help("arg_version"))] = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=0, help=_help("opt_shown"))] = 20,
    as_json: AsJson = False,
) -> None:
    """Rows added, removed and changed: `diff NAME@A NAME@B`, or `diff NAME A B`."""
    from cli.dataset_tables import show_difference
    from stages.dataset_versions import compare_versions

    if other is not None:
        before, after = f"{before}@{after}", f"{before}@{other}"
    with told(as_json) as (screen, services):
        found = compare_versions(before, after, services, rows)
        if as_json:
            _print_record(found)
        else:
            show_difference(found, screen)


@app.command(help=_help("help_tag"))
def tag(
    version: Version,
    name: Annotated[str | None, typer.Argument(metavar="[TAG]", help=_help("arg_tag"))] = None,
    move: Annotated[bool, typer.Option("--move", help=_help("opt_move"))] = False,
    delete: Annotated[bool, typer.Option("--delete", help=_help("opt_delete"))] = False,
    as_json: AsJson = False,
) -> None:
    """Tag a version, list the tags, or delete one."""
    from data_prep.versions import references
    from stages.dataset_versions import open_version, tag_version

    with told(as_json) as (screen, services):
        opened = open_version(version, services)
        if name is None:
            _show_references(references.tags(opened.name_dir), screen, as_json)
        elif delete:
            _tell_deleted(name, references.delete_tag(opened.name_dir, name), screen, as_json)
        else:
            commit = tag_version(version, name, services, move=move).commit
            if as_json:
                print_json({"name": opened.manifest.name, "tag": name, "commit": commit})
            else:
                screen.done("dataset.tagged", name=opened.manifest.name, commit=commit[:12], tag=name)


@app.command(help=_help("help_branch"))
def branch(
    version: Version,
    name: Annotated[str | None, typer.Argument(metavar="[BRANCH]", help=_help("opt_branch"))] = None,
    delete: Annotated[bool, typer.Option("--delete", help=_help("opt_delete"))] = False,
    as_json: AsJson = False,
) -> None:
    """Start a branch at a version, list the branches, or delete one."""
    from data_prep.versions import references
    from stages.dataset_versions import branch_version, open_version

    with told(as_json) as (screen, services):
        opened = open_version(version, services)
        if name is None:
            _show_references(references.branches(opened.name_dir), screen, as_json)
        elif delete:
            _tell_deleted(name, references.delete_branch(opened.name_dir, name), screen, as_json)
        else:
            commit = branch_version(version, name, services).commit
            if as_json:
                print_json({"name": opened.manifest.name, "branch": name, "commit": commit})
            else:
                screen.done("dataset.branched", branch=name, name=opened.manifest.name, commit=commit[:12])


@app.command(help=_help("help_merge"))
def merge(
    name: Name,
    theirs: Annotated[str, typer.Argument(metavar="FROM", help=_help("arg_from"))],
    into: Annotated[str, typer.Option("--into", help=_help("opt_branch"))] = "main",
    message: Annotated[str, typer.Option("--message", "-m", help=_help("opt_message"))] = "",
    as_json: AsJson = False,
) -> None:
    """Merge a branch, tag or commit into a branch."""
    from stages.dataset_versions import merge_versions

    with told(as_json) as (screen, services):
        merged, version = merge_versions(name, into, theirs, services, message)
        if as_json:
            print_json({"merge": merged.model_dump(mode="json"), "version": version.model_dump(mode="json")})
        elif merged.already_merged:
            screen.done("dataset.already_merged", branch=into)
        elif merged.fast_forward:
            screen.done("dataset.fast_forward", branch=into, commit=merged.commit[:12])
        else:
            screen.done(
                "dataset.merged",
                branch=into,
                added=merged.added,
                changed=merged.changed,
                removed=merged.removed,
                name=version.name,
                version=version.version,
            )


@app.command(help=_help("help_export"))
def export(
    version: Version,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=_help("arg_folder"))],
    format: Annotated[str, typer.Option("--format", help="jsonl, parquet")] = "jsonl",
    split: Annotated[list[Split] | None, typer.Option(help=_help("opt_sides"))] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help=translate("audit.opt_purpose", language()))] = None,
    as_json: AsJson = False,
) -> None:
    """Write the rows of a version as plain files into a new folder."""
    from contracts.audit import AuditEvent, SubjectCategory
    from data_prep.versions.exporting import ExportFormat, export_version
    from stages.audit_waiting import record_or_keep
    from stages.dataset_versions import open_version

    with told(as_json) as (screen, services):
        formats = [known.value for known in ExportFormat]
        if format not in formats:
            similar = get_close_matches(format, formats, n=1)
            raise InvalidRequestError(
                "There is no such format to export to",
                value=format,
                allowed=", ".join(formats),
                next_step=f"did you mean --format {similar[0]}?" if similar else "choose one of these",
            )
        opened = open_version(version, services)
        to_write = _to_write(folder.absolute())
        # before the first row leaves: an export that is not recorded does not happen
        record_or_keep(
            AuditEvent(
                actor=getpass.getuser(),
                action="dataset.exported",
                subject=f"dataset/{opened.name_dir.name}",
                category=SubjectCategory.TRAINING_DATA,
                purpose=purpose,
                details={"version": opened.folder.name, "folder": str(folder.absolute()), "format": format},
            ),
            services,
        )
        written = export_version(
            opened.folder,
            opened.manifest,
            to_write,
            ExportFormat(format),
            tuple(split or Split),
            _progress(screen),
        )
        if as_json:
            _print_record(written)
        else:
            screen.done("dataset.exported", rows=sum(written.rows.values()), folder=written.folder)


app.command("checkout", help=_help("help_checkout"))(export)


@app.command(help=_help("help_split"))
def split(
    version: Version,
    train: Ratio = None,
    val: Ratio = None,
    test: Ratio = None,
    unit: Annotated[SplitUnit | None, typer.Option(help=_help("opt_unit"))] = None,
    seed: Annotated[int | None, typer.Option(help=_help("opt_seed"))] = None,
    branch: Branch = "main",
    as_json: AsJson = False,
) -> None:
    """Report a version's split; with ratios, cut the branch's newest version again."""
    from cli.dataset_tables import show_split
    from data_prep.versions.cutting import report_version_split
    from data_prep.versions.splitting import Ratios
    from stages.dataset_versions import open_version, split_again

    with told(as_json) as (screen, services):
        made = None
        if (train, val, test) != (None, None, None):
            name, _, reference = version.partition("@")
            ratios = Ratios(*_ratios(train, val, test))
            made = split_again(name, reference or branch, ratios, services, unit=unit, seed=seed)
            version = str(made.dataset_id)
        opened = open_version(version, services)
        report = report_version_split(opened.name_dir, opened.manifest)
        if as_json:
            print_json(
                {
                    "report": report.model_dump(mode="json"),
                    "even": report.even,
                    "version": None if made is None else made.model_dump(mode="json"),
                }
            )
            return
        if made is not None:
            screen.done(
                "dataset.prepared",
                name=made.name,
                version=made.version,
                dataset_id=made.dataset_id,
                rows=made.total_samples,
                removed=sum(made.removed.values()),
                masked=sum(made.masked.values()),
            )
        show_split(report, screen)


@app.command(help=_help("help_lineage"))
def lineage(
    version: Version, row: Annotated[str, typer.Argument(metavar="ROW", help=_help("arg_row"))], as_json: AsJson = False
) -> None:
    """Where the row with this key, or `<file name>:<line>`, came from."""
    from cli.dataset_tables import show_lineage
    from data_prep.versions.lineage import trace
    from stages.dataset_versions import open_version

    with told(as_json) as (screen, services):
        opened = open_version(version, services)
        found = trace(opened.name_dir, opened.manifest.commit, row)
        if as_json:
            _print_record(found)
        else:
            show_lineage(found, screen)


@app.command(help=_help("help_stats"))
def stats(version: Version, as_json: AsJson = False) -> None:
    """The statistics of a version."""
    from cli.dataset_tables import show_statistics
    from stages.dataset_versions import version_statistics

    with told(as_json) as (screen, services):
        found = version_statistics(version, services)
        if as_json:
            print_json(found)
        else:
            show_statistics(found, screen)


@app.command(help=_help("help_report"))
def report(
    version: Version,
    out: Annotated[Path | None, typer.Option("--out", help=_help("opt_report_out"))] = None,
    as_json: AsJson = False,
) -> None:
    """The HTML report of a version."""
    from stages.dataset_versions import version_report

    with told(as_json) as (screen, services):
        path = version_report(version, services, None if out is None else _file_to_write(out)).absolute()
        if as_json:
            print_json({"path": str(path)})
        else:
            screen.done("dataset.report_at", path=path)


@app.command(help=_help("help_gc"))
def gc(
    name: Name,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_help("opt_dry_run"))] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what nothing refers to."""
    from cli.screen import in_units
    from stages.dataset_versions import collect_garbage

    with told(as_json) as (screen, services):
        found = collect_garbage(name, services, dry_run=dry_run)
        if as_json:
            _print_record(found)
            return
        screen.done(
            "dataset.gc_would" if dry_run else "dataset.gc_done",
            commits=len(found.commits),
            parts=found.parts,
            unfinished=found.unfinished,
            freed=in_units(found.freed_bytes),
            kept=found.kept_commits,
        )


@app.command(help=_help("help_verify"))
def verify(name: Name, as_json: AsJson = False) -> None:
    """Read every file again. Exit code 1 when one is damaged."""
    from cli.dataset_tables import show_verification
    from data_prep.versions.verifying import verify as verify_files
    from stages.dataset_versions import dataset_folder

    with told(as_json) as (screen, services):
        found = verify_files(dataset_folder(name, services))
        if as_json:
            _print_record(found)
        else:
            show_verification(found, screen)
    if found.damaged:
        raise typer.Exit(1)


@app.command(help=_help("help_archive"))
def archive(version: Version, as_json: AsJson = False) -> None:
    """Say that a version is needed no more."""
    from stages.dataset_versions import archive_version

    with told(as_json) as (screen, services):
        archived = archive_version(version, services)
        if as_json:
            _print_record(archived)
        else:
            screen.done("dataset.archived", name=archived.name, version=archived.version)


@app.command(help=_help("help_mask"))
def mask(
    path_in: Annotated[Path, typer.Option("--in", help=_help("opt_in"))],
    path_out: Annotated[Path, typer.Option("--out", help=_help("opt_out"))],
    policy: Annotated[str, typer.Option(help=_help("opt_policy"))] = "default",
    name: Annotated[str, typer.Option(help=_help("opt_pseudonyms"))] = "mask",
    as_json: AsJson = False,
) -> None:
    """Add `masked` and `spans` to every line of a file."""
    from data_prep.masking.files import mask_file
    from data_prep.masking.masker import Masker
    from data_prep.policies import load_policy
    from stages.pseudonyms import pseudonym_key

    with told(as_json) as (screen, services):
        rules = load_policy(
            policy, relative_to=Path.cwd(), allowed_roots=[*services.settings.allowed_input_roots, Path.cwd()]
        )
        pseudonyms = MaskingAction.PSEUDONYMISE in rules.masking.actions.values()
        key = pseudonym_key(services.settings, name) if pseudonyms else b""
        masked = mask_file(path_in, _file_to_write(path_out), Masker(rules.masking, key), _progress(screen))
        if as_json:
            print_json({"path": str(path_out), **masked.model_dump(mode="json")})
        else:
            counts = ", ".join(f"{kind} {count:,}" for kind, count in masked.replaced.items())
            screen.done("dataset.masked_file", path=path_out, rows=masked.rows, counts=counts or "0")


@app.command("generate-qa", help=_help("help_generate"))
def generate(
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help=_help("arg_request"))], as_json: AsJson = False
) -> None:
    """Ask the generator about every passage of the documents."""
    from cli.run_stage import read_request
    from contracts.enums import StageName
    from stages.catalog import STAGES

    with told(as_json) as (screen, services):
        stage = STAGES[StageName("generate_qa")]
        made = stage.function()(read_request(stage, request), services, _progress(screen))
        if as_json:
            _print_record(made)
        else:
            screen.done(
                "dataset.generated",
                accepted=made.accepted,
                generated=made.generated,
                cost=made.cost,
                currency=made.currency,
                path=made.samples_path,
            )
            screen.say("dataset.progress", line=made.message)


@app.command(help=_help("help_curate"))
def curate(
    generation_id: Annotated[str, typer.Argument(metavar="GENERATION_ID", help=_help("arg_generation"))],
    include_waiting: Annotated[bool, typer.Option("--include-waiting", help=_help("opt_include_waiting"))] = False,
    as_json: AsJson = False,
) -> None:
    """Write what reviewers accepted and edited."""
    from cli.run_stage import validated
    from contracts.generation import CurateRequest
    from stages.curate import curate as curate_samples

    with told(as_json) as (screen, services):
        request = validated(CurateRequest, {"generation_id": generation_id, "include_waiting": include_waiting})
        made = curate_samples(request, services)
        if as_json:
            _print_record(made)
        else:
            screen.done("dataset.curated", **made.model_dump(mode="json"))


def _progress(screen: Screen) -> Any:
    """What a stage tells of its work: a line that changes on a terminal, lines with times in a log."""
    from cli.stage_progress import ScreenProgress

    return ScreenProgress(screen)


def _propose(request: Any, services: Services) -> None:
    """What each file would become, as JSON: to be looked at and corrected."""
    from data_prep.imports.input_files import open_input_files
    from data_prep.imports.proposing import propose_mapping

    settings = services.settings
    files = open_input_files(
        request.input_files, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots
    )
    print_json([propose_mapping(file, request.columns).model_dump(mode="json") for file in files])


def _ratios(train: float | None, val: float | None, test: float | None) -> tuple[float, float, float]:
    """The three ratios; one that is not given is what the others leave."""
    given = {"train": train, "val": val, "test": test}
    missing = [name for name, ratio in given.items() if ratio is None]
    rest = round(1 - sum(ratio for ratio in given.values() if ratio is not None), 9)
    if len(missing) == 1:
        given[missing[0]] = rest
    if len(missing) > 1 or rest < 0 or (not missing and rest != 0):
        raise InvalidRequestError(
            "The ratios do not make a whole",
            value=", ".join(f"{name} {ratio:g}" for name, ratio in given.items() if ratio is not None),
            allowed="--train, --val and --test that sum to 1; one of them may be left out",
            next_step="for example --train 0.8 --val 0.1 --test 0.1",
        )
    return float(given["train"] or 0), float(given["val"] or 0), float(given["test"] or 0)


def _to_write(path: Path) -> Path:
    """The path of a new file or folder, its parent made; refused before any work where nothing can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))
    except OSError as error:
        raise InvalidRequestError(
            "Nothing can be written there",
            value=path,
            allowed="a place in a folder that may be written",
            next_step=f"name another place ({error.strerror})",
        ) from error
    return path


def _file_to_write(path: Path) -> Path:
    if path.is_dir():
        raise InvalidRequestError(
            "This is a folder", value=path, allowed="the path of a file", next_step="add the file's name to it"
        )
    return _to_write(path)


def _absolute(file: str) -> str:
    """A file of the folder that the person is in; else as it was given, below the repository."""
    path = Path(file).expanduser()
    return str(path.absolute()) if path.exists() else file


def _show_references(references: dict[str, str], screen: Screen, as_json: bool) -> None:
    from cli.dataset_tables import show_references

    if as_json:
        print_json(references)
    else:
        show_references(references, screen)


def _tell_deleted(what: str, commit: str, screen: Screen, as_json: bool) -> None:
    if as_json:
        print_json({"deleted": what, "commit": commit})
    else:
        screen.done("dataset.deleted", what=what, commit=commit[:12])


def _print_record(record: Record) -> None:
    print_json(record.model_dump(mode="json"))
