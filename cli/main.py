"""`tuneway`: the commands. Each reads its arguments and calls one function."""

import os
import sys
from importlib import import_module, util
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.answers import print_json
from cli.texts import translate
from contracts.errors import NotFoundError, TunewayError
from settings import Settings, language, load_settings


def _help(key: str) -> str:
    return translate(f"help.{key}", language())


app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=_help("app"))

AsJson = Annotated[bool, typer.Option("--json", help=_help("json"))]
Forwarded = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(help=_help("up"))
def up(
    names: Annotated[list[str] | None, typer.Argument(help=_help("up_names"))] = None,
    wait: Annotated[bool, typer.Option(help=_help("up_wait"))] = True,
    timeout: Annotated[float, typer.Option(help=_help("up_timeout"))] = 300,
) -> None:
    """Start the platform, or what of it does not run."""
    from cli.lifecycle import up as start

    with _screen() as screen:
        start(load_settings(), screen, names=names, wait=wait, timeout_seconds=timeout)


@app.command(help=_help("down"))
def down() -> None:
    """End everything this installation started, and only that."""
    from cli.lifecycle import down as stop

    with _screen() as screen:
        stop(load_settings(), screen)


@app.command(help=_help("restart"))
def restart(name: Annotated[str, typer.Argument(help=_help("process"))]) -> None:
    """Stop one process and start it again."""
    from cli.lifecycle import restart as restart_process

    with _screen() as screen:
        restart_process(load_settings(), screen, name)


@app.command(help=_help("status"))
def status(as_json: AsJson = False) -> None:
    """Show the processes, the running jobs and what they use."""
    from cli.status import read_status, show_status

    found = read_status(load_settings())
    if as_json:
        print_json(found.as_json())
    else:
        show_status(found, _screen())


@app.command(help=_help("logs"))
def logs(
    name: Annotated[str, typer.Argument(help=_help("logs_name"))],
    follow: Annotated[bool, typer.Option("--follow", "-f", help=_help("logs_follow"))] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help=_help("logs_lines"))] = 100,
) -> None:
    """Show the log of a process or a job."""
    from cli import logs as log_files

    path = log_files.log_path(load_settings(), name)
    offset = 0
    if path.exists():
        text, offset = log_files.last_lines(path, lines)
        sys.stdout.write(text)
        sys.stdout.flush()
    elif not follow:
        _screen().say("logs.none", path=path)
    if follow:
        log_files.follow(path, offset, sys.stdout)


@app.command(help=_help("doctor"))
def doctor(
    as_json: AsJson = False,
    deep: Annotated[bool, typer.Option(help=_help("doctor_deep"))] = False,
) -> None:
    """Check ports, disk, memory, versions, GPU, database and permissions, each with what to do."""
    from cli.doctor import Verdict, examine
    from cli.doctor_table import show_findings

    screen = _screen()
    findings = examine(load_settings(), screen.language, deep=deep)
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        show_findings(findings, screen)
    if any(finding.verdict is Verdict.BLOCK for finding in findings):
        raise typer.Exit(1)


@app.command(help=_help("stage"))
def stage(
    name: Annotated[str, typer.Argument(help=_help("stage_name"))],
    request: Annotated[Path, typer.Argument(help=_help("stage_request"))],
) -> None:
    """Run one stage: a request in, the record as JSON on standard output."""
    from cli.run_stage import run_stage

    run_stage(name, request, load_settings())


@app.command(context_settings=Forwarded, help=_help("pipeline"))
def pipeline(context: typer.Context) -> None:
    """Trigger and follow DAG runs of an Airflow, also a remote one."""
    _part("cli.pipeline").app(context.args, prog_name="tuneway pipeline")


@app.command(context_settings=Forwarded, help=_help("job"))
def job(context: typer.Context) -> None:
    """See, stop and resume training and evaluation jobs."""
    _part("cli.job").app(context.args, prog_name="tuneway job")


@app.command(context_settings=Forwarded, help=_help("user"))
def user(context: typer.Context) -> None:
    """Say who may use the platform."""
    _part("cli.user").app(context.args, prog_name="tuneway user")


@app.command(context_settings=Forwarded, help=_help("token"))
def token(context: typer.Context) -> None:
    """Manage the keys of service accounts."""
    _part("cli.token").app(context.args, prog_name="tuneway token")


@app.command(context_settings=Forwarded, help=_help("ratings"))
def ratings(context: typer.Context) -> None:
    """Have experts and judges rate answers, and see how far they agree."""
    _part("cli.ratings").app(context.args, prog_name="tuneway ratings")


@app.command(context_settings=Forwarded, help=_help("safety"))
def safety(context: typer.Context) -> None:
    """Add the safety suites."""
    _part("cli.safety").app(context.args, prog_name="tuneway safety")


@app.command(context_settings=Forwarded, help=_help("sweep"))
def sweep(context: typer.Context) -> None:
    """Look for the best numbers of a recipe."""
    _part("cli.sweep").app(context.args, prog_name="tuneway sweep")


@app.command(context_settings=Forwarded, help=_help("ab"))
def ab(context: typer.Context) -> None:
    """Plan A/B tests and check their statistics."""
    _part("cli.ab").app(context.args, prog_name="tuneway ab")


@app.command(context_settings=Forwarded, help=_help("dataset"))
def dataset(context: typer.Context) -> None:
    """Bring training data in, clean it, and keep its versions."""
    _part("cli.dataset").app(context.args, prog_name="tuneway dataset")


@app.command(context_settings=Forwarded, help=_help("suite"))
def suite(context: typer.Context) -> None:
    """Keep test suites: import, edit, lock, compare, export."""
    _part("cli.suite").app(context.args, prog_name="tuneway suite")


@app.command(context_settings=Forwarded, help=_help("train"))
def train(context: typer.Context) -> None:
    """Fine-tune models by recipes."""
    _part("cli.train").app(context.args, prog_name="tuneway train")


@app.command(context_settings=Forwarded, help=_help("evaluate"))
def evaluate(context: typer.Context) -> None:
    """Evaluate one model on suites."""
    _part("cli.evaluate").app(context.args, prog_name="tuneway evaluate")


@app.command(context_settings=Forwarded, help=_help("model"))
def model(context: typer.Context) -> None:
    """Registered model versions."""
    _part("cli.model").app(context.args, prog_name="tuneway model")


@app.command(context_settings=Forwarded, help=_help("deploy"))
def deploy(context: typer.Context) -> None:
    """A model version into service."""
    _forward("cli.deploy", "deploy", context.args)


@app.command(context_settings=Forwarded, help=_help("rollback"))
def rollback(context: typer.Context) -> None:
    """The service back to the version before."""
    _forward("cli.deploy", "rollback", context.args)


@app.command(context_settings=Forwarded, help=_help("undeploy"))
def undeploy(context: typer.Context) -> None:
    """A model version out of service."""
    _forward("cli.deploy", "undeploy", context.args)


@app.command(context_settings=Forwarded, help=_help("prune"))
def prune(context: typer.Context) -> None:
    """Remove what nobody needs any more."""
    _forward("cli.prune", "prune", context.args)


@app.command(context_settings=Forwarded, help=_help("lineage"))
def lineage(context: typer.Context) -> None:
    """What was made of what."""
    _forward("cli.lineage", "lineage", context.args)


@app.command(context_settings=Forwarded, help=_help("contamination"))
def contamination(context: typer.Context) -> None:
    """Look for test cases in training data."""
    _forward("cli.contamination", "contamination", context.args)


@app.command(context_settings=Forwarded, help=_help("audit"))
def audit(context: typer.Context) -> None:
    """Check, search and export the audit trail."""
    _part("cli.audit").app(context.args, prog_name="tuneway audit")


@app.command(context_settings=Forwarded, help=_help("keys"))
def keys(context: typer.Context) -> None:
    """See, renew and erase the keys of what is encrypted at rest."""
    _part("cli.keys").app(context.args, prog_name="tuneway keys")


@app.command(context_settings=Forwarded, help=_help("privacy"))
def privacy(context: typer.Context) -> None:
    """Find and delete a person's data."""
    _part("cli.privacy").app(context.args, prog_name="tuneway privacy")


@app.command(context_settings=Forwarded, help=_help("backup"))
def backup(context: typer.Context) -> None:
    """Save the running installation."""
    _forward("cli.backup", "backup", context.args)


@app.command("verify-backup", context_settings=Forwarded, help=_help("verify_backup"))
def verify_backup(context: typer.Context) -> None:
    """Read a backup through."""
    _forward("cli.backup", "verify_backup", context.args)


@app.command(context_settings=Forwarded, help=_help("restore"))
def restore(context: typer.Context) -> None:
    """Bring an installation back from its backup."""
    _forward("cli.backup", "restore", context.args)


@app.command(context_settings=Forwarded, help=_help("bundle"))
def bundle(context: typer.Context) -> None:
    """Make one archive for a site without internet."""
    _forward("cli.bundle", "bundle", context.args)


@app.command(context_settings=Forwarded, help=_help("units"))
def units(context: typer.Context) -> None:
    """Write the processes down as units of systemd."""
    _forward("cli.units", "units", context.args)


@app.command(context_settings=Forwarded, help=_help("docs"))
def docs(context: typer.Context) -> None:
    """Make the documentation as web pages."""
    _forward("cli.docs", "docs", context.args)


@app.command(context_settings=Forwarded, help=_help("demo"))
def demo(context: typer.Context) -> None:
    """Run the whole pipeline on the demo input, from documents to a served model."""
    _forward("cli.demo", "demo", context.args)


@app.command(context_settings=Forwarded, help=_help("bench"))
def bench(context: typer.Context) -> None:
    """Measure this machine."""
    _part("cli.bench").app(context.args, prog_name="tuneway bench")


@app.command(context_settings=Forwarded, help=_help("summary"))
def summary(context: typer.Context) -> None:
    """Show what a pipeline run made: data, accuracy, verdict, model, endpoint."""
    _forward("cli.summary", "summary", context.args)


@app.command(help=_help("migrate"))
def migrate() -> None:
    """Make the secrets that are missing and bring the databases to the installed versions' schemas."""
    from cli.databases import create_databases, migrate_databases
    from cli.lifecycle import make_folders, show_first_admin
    from cli.secret_files import ensure_secrets, write_airflow_urls
    from database.embedded import embedded_postgres

    settings = load_settings()
    os.umask(0o077)
    make_folders(settings)
    ensure_secrets(settings)
    write_airflow_urls(settings)
    if settings.uses_embedded_postgres:
        embedded_postgres(settings).wait_until_ready()
        create_databases(settings)
    migrate_databases(settings)
    with _screen() as screen:
        show_first_admin(settings, screen)


@app.command(help=_help("run"))
def run(name: Annotated[str, typer.Argument(help=_help("process"))]) -> None:
    """Become one process of the platform, in the foreground: for containers and other supervisors."""
    from cli.lifecycle import prepare_to_run
    from cli.programs import common_environment

    settings = load_settings()
    os.umask(0o077)
    command, variables = prepare_to_run(settings, name)
    environment = {**os.environ, **common_environment(settings), **variables}
    os.execve(command[0], command, environment)  # noqa: S606 - becoming the program is the purpose


@app.command(context_settings=Forwarded, help=_help("airflow"))
def airflow(context: typer.Context) -> None:
    """Run a command of Airflow's own command line against this installation."""
    from cli.programs import airflow_environment, common_environment

    settings: Settings = load_settings()
    environment = {**os.environ, **common_environment(settings), **airflow_environment(settings)}
    del environment["TUNEWAY_SUPERVISED"]
    program = str(Path(sys.executable).parent / "airflow")
    os.execve(program, ["airflow", *context.args], environment)  # noqa: S606 - becoming the program is the purpose


def _part(module: str) -> Any:
    """A command's module, imported when the command is used."""
    if util.find_spec(module) is None:
        raise NotFoundError(_screen().text("part.missing", name=module.rpartition(".")[2]))
    return import_module(module)


def _forward(module: str, function: str, arguments: list[str]) -> None:
    """Call a function of another module as a command with its own arguments."""
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(getattr(_part(module), function))
    command(arguments, prog_name=f"tuneway {function.replace('_', '-')}")


def _screen() -> Any:
    from cli.screen import make_screen

    return make_screen()


def main() -> None:
    """Run the command line. A user's mistake ends with its message; a bug keeps its traceback."""
    try:
        app(prog_name="tuneway")
    except TunewayError as error:
        from cli.screen import exit_code_of

        _screen().show_error(error)
        sys.exit(exit_code_of(error))


if __name__ == "__main__":
    main()
