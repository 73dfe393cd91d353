"""`tuneway suite`: test suites from a file to a locked version. Each command calls one function and shows its record."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import print_json, told
from cli.reference_suites import add_to
from cli.texts import translate
from contracts.errors import InvalidRequestError
from settings import language

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cli.screen import Screen
    from contracts.record import Record


def _help(key: str) -> str:
    return translate(f"suite.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.suite", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
SuiteName = Annotated[str, typer.Argument(metavar="SUITE", help=_help("arg_suite"))]
CaseId = Annotated[str, typer.Argument(metavar="CASE", help=_help("arg_case"))]
Out = Annotated[Path, typer.Argument(metavar="FILE", help=_help("arg_out"))]
By = Annotated[str | None, typer.Option("--by", help=_help("opt_by"))]
Overwrite = Annotated[bool, typer.Option("--overwrite", help=_help("opt_overwrite"))]


add_to(app)


@app.command("list", help=_help("help_list"))
def list_all(
    archived: Annotated[bool, typer.Option("--archived", help=_help("opt_archived"))] = False, as_json: AsJson = False
) -> None:
    """Every suite with its newest version."""
    from cli.suite_tables import show_list

    with told(as_json) as (screen, services):
        with services.unit_of_work() as uow:
            found = uow.suites.list_suites(with_archived=archived)
        if as_json:
            print_json([listing.model_dump(mode="json") for listing in found])
        else:
            show_list(found, screen)


@app.command(help=_help("help_show"))
def show(
    suite: SuiteName,
    cases: Annotated[bool, typer.Option("--cases", help=_help("opt_cases"))] = False,
    category: Annotated[str | None, typer.Option(help=_help("opt_category"))] = None,
    search: Annotated[str, typer.Option(help=_help("opt_search"))] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help=_help("opt_limit"))] = 50,
    as_json: AsJson = False,
) -> None:
    """A suite's versions, and with --cases (or a filter) the cases of one."""
    from cli.suite_tables import show_cases, show_versions
    from stages.suites import newest_version

    with told(as_json) as (screen, services):
        version = newest_version(suite, services)
        with services.unit_of_work() as uow:
            versions = uow.suites.versions(version.name)
            wanted = cases or category is not None or bool(search)
            page, total = (
                uow.suites.page(version.suite_id, category=category, search=search, limit=limit) if wanted else ([], 0)
            )
        if as_json:
            answer: dict[str, object] = {
                "suite": version.model_dump(mode="json"),
                "versions": [other.model_dump(mode="json") for other in versions],
            }
            if wanted:
                answer |= {"total": total, "cases": [stored.model_dump(mode="json") for stored in page]}
            print_json(answer)
            return
        show_versions(versions, screen)
        if wanted:
            show_cases(version, page, total, screen)


@app.command("import", help=_help("help_import"))
def import_file(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_help("arg_name"))],
    file: Annotated[str, typer.Argument(metavar="FILE", help=_help("arg_file"))],
    description: Annotated[str, typer.Option(help=_help("opt_description"))] = "",
    add: Annotated[bool, typer.Option("--add", help=_help("opt_add"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_help("opt_dry_run"))] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Bring a file in, or with --dry-run tell what it would bring; exit code 1 where rows are wrong."""
    from cli.run_stage import validated
    from cli.suite_tables import show_import
    from contracts.suite_versions import ImportSuiteRequest
    from stages.suites import import_suite

    with told(as_json) as (screen, services):
        path = Path(file).expanduser()
        request = validated(
            ImportSuiteRequest,
            {
                "name": name,
                "file": str(path.absolute()) if path.exists() else file,
                "description": description,
                "add": add,
                "dry_run": dry_run,
            },
        )
        imported = import_suite(request, services, actor=_actor(by))
        if as_json:
            _print_record(imported)
        else:
            show_import(imported, screen)
    if imported.problems:
        raise typer.Exit(1)


@app.command(help=_help("help_template"))
def template(out: Out, overwrite: Overwrite = False, as_json: AsJson = False) -> None:
    """Write a file to fill in."""
    from evaluation.case_tables import template_bytes

    with told(as_json) as (screen, _services):
        _write(out, overwrite, lambda suffix: template_bytes(suffix, screen.language))
        _tell_written(out, screen, as_json)
        if not as_json:
            screen.say("suite.template_next", path=out)


@app.command(help=_help("help_export"))
def export(suite: SuiteName, out: Out, overwrite: Overwrite = False, as_json: AsJson = False) -> None:
    """Write a suite's cases to a file."""
    from evaluation.case_tables import export_bytes
    from stages.suites import newest_version

    with told(as_json) as (screen, services):
        version = newest_version(suite, services)
        with services.unit_of_work() as uow:
            cases = uow.suites.cases(version.suite_id)
        _write(out, overwrite, lambda suffix: export_bytes(cases, suffix, screen.language))
        _tell_written(out, screen, as_json)


@app.command(help=_help("help_edit"))
def edit(
    suite: SuiteName,
    case: CaseId,
    changes: Annotated[list[str], typer.Option("--set", metavar="COLUMN=VALUE", help=_help("opt_set"))],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Change a case, or add one."""
    from stages.suites import edit_case, newest_version

    with told(as_json) as (screen, services):
        version = edit_case(
            newest_version(suite, services).suite_id, case, _assignments(changes), services, actor=_actor(by)
        )
        if as_json:
            _print_record(version)
        else:
            screen.done("suite.edited", title=version.title, case=case)


@app.command(help=_help("help_remove"))
def remove(suite: SuiteName, case: CaseId, by: By = None, as_json: AsJson = False) -> None:
    """Take a case out."""
    from stages.suites import newest_version, remove_case

    with told(as_json) as (screen, services):
        version = remove_case(newest_version(suite, services).suite_id, case, services, actor=_actor(by))
        if as_json:
            _print_record(version)
        else:
            screen.done("suite.removed", title=version.title, case=case)


@app.command(help=_help("help_lock"))
def lock(
    suite: SuiteName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=_help("opt_yes"))] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Lock a version, asked before on a terminal."""
    from stages.suites import lock_suite, newest_version

    with told(as_json) as (screen, services):
        version = newest_version(suite, services)
        if not yes and not as_json and version.locked_at is None and sys.stdin.isatty():
            question = screen.text("suite.lock_question", title=version.title, count=version.case_count)
            typer.confirm(question, abort=True, err=True)
        locked = lock_suite(version.suite_id, services, actor=_actor(by))
        if as_json:
            _print_record(locked)
        else:
            screen.done(
                "suite.locked", title=locked.title, by=locked.locked_by, at=f"{locked.locked_at:%Y-%m-%d %H:%M}"
            )


@app.command(help=_help("help_diff"))
def diff(
    before: SuiteName,
    after: Annotated[str | None, typer.Argument(metavar="[AFTER]", help=_help("arg_after"))] = None,
    as_json: AsJson = False,
) -> None:
    """Cases added, removed and changed."""
    from cli.suite_tables import show_difference
    from stages.suites import compare_suites, find_version, newest_version

    with told(as_json) as (screen, services):
        first = find_version(before, services)
        second = newest_version(first.name, services) if after is None else find_version(after, services)
        difference = compare_suites(first, second, services)
        if as_json:
            _print_record(difference)
        else:
            show_difference(difference, screen)


@app.command(help=_help("help_archive"))
def archive(suite: SuiteName, by: By = None, as_json: AsJson = False) -> None:
    """Take a version out of use; the version has to be named."""
    from stages.suites import archive_suite, find_version

    with told(as_json) as (screen, services):
        if "@" not in suite:
            raise InvalidRequestError(
                "The version to archive has to be named",
                value=suite,
                allowed=f"{suite}@1",
                next_step=f"see its versions with `tuneway suite show {suite}`",
            )
        archived = archive_suite(find_version(suite, services).suite_id, services, actor=_actor(by))
        if as_json:
            _print_record(archived)
        else:
            screen.done("suite.archived", title=archived.title)


def _actor(by: str | None) -> str:
    return (by or "").strip() or getpass.getuser()


def _assignments(changes: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for change in changes:
        column, separator, value = change.partition("=")
        if not separator:
            raise InvalidRequestError(
                "A change names a column and its value", value=change, allowed="COLUMN=VALUE", next_step="add the ="
            )
        found[column.strip()] = value
    return found


def _write(out: Path, overwrite: bool, content: Callable[[str], bytes]) -> None:
    """The file whole or not at all. Raises InvalidRequestError for a name without a known ending, or one that is taken."""
    from evaluation.case_tables import FORMATS
    from storage.files import write_bytes_atomically

    suffix = out.suffix.lower()
    if suffix not in FORMATS:
        raise InvalidRequestError(
            "The file's ending names no format",
            value=out,
            allowed=", ".join(FORMATS),
            next_step="for example cases.xlsx",
        )
    if out.exists() and not overwrite:
        raise InvalidRequestError(
            "The file is there already",
            value=out,
            allowed="a new name",
            next_step="name another file, or add --overwrite",
        )
    try:
        write_bytes_atomically(out, content(suffix))
    except OSError as error:
        raise InvalidRequestError(
            "Nothing can be written there",
            value=out,
            allowed="a place in a folder that may be written",
            next_step=f"name another place ({error.strerror})",
        ) from error


def _tell_written(out: Path, screen: Screen, as_json: bool) -> None:
    if as_json:
        print_json({"path": str(out.absolute())})
    else:
        screen.done("suite.written", path=out)


def _print_record(record: Record) -> None:
    print_json(record.model_dump(mode="json"))
