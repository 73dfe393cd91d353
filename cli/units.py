"""`tuneway units`: the same processes as `tuneway up`, as units of systemd, for a host that starts them at boot without us."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import print_json
from cli.supervisor_config import MODEL_SERVERS
from cli.texts import translate
from settings import language

if TYPE_CHECKING:
    from cli.programs import Program
    from settings import Settings

TARGET = "tuneway.target"
MIGRATE = "tuneway-migrate.service"
WRITTEN_BY = "# Written by `tuneway units` from the settings; changes belong into a drop-in (systemctl edit)."
ENVIRONMENT_FILE = "tuneway.env"
WITH_CARDS = frozenset({"runner", MODEL_SERVERS, "serving-api", "airflow-scheduler"})
"""They ask the driver for cards, or start what does."""
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "LockPersonality": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictNamespaces": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
    # nothing leaves the site: the host itself and private addresses only
    "IPAddressDeny": "any",
    "IPAddressAllow": "localhost 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
}
"""Not MemoryDenyWriteExecute: torch, Numba and PostgreSQL compile while they run. A systemd that is older than a line leaves
it out with a warning."""


def _help(key: str) -> str:
    return translate(f"units.{key}", language())


def units(
    directory: Annotated[Path, typer.Option("--directory", file_okay=False, help=_help("opt_directory"))],
    account: Annotated[
        str, typer.Option("--user", help=_help("opt_user"), default_factory=getpass.getuser, show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", language()))] = False,
) -> None:
    """Write the units and the file of settings that they read."""
    from cli.screen import make_screen
    from cli.secret_files import ensure_secrets
    from contracts.errors import InvalidRequestError
    from settings import load_settings
    from storage.files import write_text_atomically

    settings = load_settings()
    if account == "root":
        raise InvalidRequestError(
            "The platform does not run as root under systemd",
            value=account,
            allowed="an account of its own, which owns the data folder",
            next_step="run this as that account: `runuser -u tuneway -- tuneway units --directory DIR`",
        )
    ensure_secrets(settings)
    texts = render_units(settings, account)
    directory.mkdir(parents=True, exist_ok=True)
    for old in sorted(directory.glob("tuneway*.service")):
        # of a program that runs elsewhere now
        if old.name not in texts and old.read_text(encoding="utf-8").startswith(WRITTEN_BY):
            old.unlink()
    for name, text in texts.items():
        write_text_atomically(directory / name, text, mode=0o644)
    # it may hold a password
    write_text_atomically(directory / ENVIRONMENT_FILE, render_environment(settings), mode=0o600)
    if as_json:
        print_json({"directory": str(directory), "units": sorted(texts), "environment": ENVIRONMENT_FILE})
        return
    with make_screen() as screen:
        screen.done("units.done", count=len(texts), directory=directory)
        screen.say("units.next", directory=directory, account=account, data_dir=settings.data_dir)


def render_units(settings: Settings, account: str) -> dict[str, str]:
    """Every unit by its file's name: one a program, one for the model servers, the schemas' and the target."""
    from cli.programs import platform_programs

    programs = platform_programs(settings)
    texts = {unit_name(program.name): _program_unit(program, programs, settings, account) for program in programs}
    texts[unit_name(MODEL_SERVERS)] = _model_servers_unit(settings, account)
    texts[MIGRATE] = _migrate_unit(settings, account)
    texts[TARGET] = _sections(
        {
            "Unit": {"Description": "Tuneway", "Wants": " ".join(sorted(texts)), "After": "network.target"},
            "Install": {"WantedBy": "multi-user.target"},
        }
    )
    return texts


def unit_name(program: str) -> str:
    """The file of a program's unit."""
    return f"tuneway-{program}.service"


def render_environment(settings: Settings) -> str:
    """The TUNEWAY_* variables of this shell for the units; quoted as systemd reads them."""
    lines = []
    for name, value in sorted(settings.as_environment().items()):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
        lines.append(f'{name}="{quoted}"')
    return "\n".join(lines) + "\n"


def _program_unit(program: Program, programs: list[Program], settings: Settings, account: str) -> str:
    from cli.programs import ProgramName

    is_postgres = program.name is ProgramName.POSTGRES
    earlier = [unit_name(other.name) for other in programs if other.priority < program.priority]
    before = [] if is_postgres else [MIGRATE]
    service = {
        "ExecStart": f"{_command(settings)} run {program.name}",
        # one that is killed leaves nothing behind: systemd ends its whole control group. The runner's jobs outlive it.
        "KillMode": "control-group" if program.stop_group else "mixed" if is_postgres else "process",
        "KillSignal": f"SIG{program.stop_signal}",
        "TimeoutStopSec": str(program.stop_seconds),
        "Restart": "always",
        "RestartSec": "2",
    }
    if is_postgres:
        service["OOMScoreAdjust"] = "-600"
    return _unit(
        f"Tuneway: {program.name}", service, settings, account, program.name, after=[*before, *earlier], needs=before
    )


def _model_servers_unit(settings: Settings, account: str) -> str:
    service = {
        "ExecStart": f"{_command(settings)} run {MODEL_SERVERS}",
        "KillMode": "mixed",
        "KillSignal": "SIGTERM",
        "TimeoutStopSec": "30",
        "Restart": "always",
        "RestartSec": "2",
    }
    return _unit(
        "Tuneway: model servers as they are deployed",
        service,
        settings,
        account,
        MODEL_SERVERS,
        after=[MIGRATE],
        needs=[MIGRATE],
    )


def _migrate_unit(settings: Settings, account: str) -> str:
    service = {
        "Type": "oneshot",
        "RemainAfterExit": "yes",
        "ExecStart": f"{_command(settings)} migrate",
        "TimeoutStartSec": "600",
    }
    needs = [unit_name("postgres")] if settings.uses_embedded_postgres else []
    return _unit("Tuneway: secrets and schemas", service, settings, account, "migrate", after=needs, needs=needs)


def _unit(
    description: str,
    service: dict[str, str],
    settings: Settings,
    account: str,
    name: str,
    *,
    after: list[str],
    needs: list[str],
) -> str:
    places = [settings.repository_root, settings.data_dir]
    is_in_home = _is_below(places, "home", "root")
    # a private /tmp would hide what lies there
    is_in_tmp = _is_below(places, "tmp", "var/tmp")
    unit = {
        "Description": description,
        "PartOf": TARGET,
        "After": " ".join(["network.target", *after]),
        **({"Requires": " ".join(needs)} if needs else {}),
        "StartLimitIntervalSec": "120",
        "StartLimitBurst": "5",
    }
    own = {
        "User": account,
        "WorkingDirectory": _path(settings.data_dir),
        "EnvironmentFile": f"/etc/tuneway/{ENVIRONMENT_FILE}",
        # its home: what libraries keep there can be made again
        "CacheDirectory": "tuneway",
        "Environment": "HOME=%C/tuneway PYTHONDONTWRITEBYTECODE=1",
        **service,
        # a connection is an open file, and the router has one for each question
        "LimitNOFILE": "65536",
        "ReadWritePaths": " ".join(_path(place) for place in writable_places(settings)),
        "ProtectHome": "read-only" if is_in_home else "yes",
        "PrivateTmp": "no" if is_in_tmp else "yes",
        "PrivateDevices": "no" if name in WITH_CARDS else "yes",
        **HARDENING,
    }
    return _sections({"Unit": unit, "Service": own, "Install": {"WantedBy": TARGET}})


def writable_places(settings: Settings) -> list[Path]:
    """All that a process may write; the code is not among it."""
    copies = [] if settings.audit_heads_copy is None else [settings.audit_heads_copy.parent]
    return [settings.data_dir, *copies]


def _is_below(places: list[Path], *tops: str) -> bool:
    return any(place.is_relative_to(Path("/", top)) for place in places for top in tops)


def _command(settings: Settings) -> str:
    return _path(settings.repository_root / "tuneway")


def _path(path: Path) -> str:
    """As systemd reads it: a per cent sign is a specifier, a blank ends the word."""
    text = str(path).replace("\\", "\\\\").replace("%", "%%")
    return f'"{text}"' if " " in text else text


def _sections(sections: dict[str, dict[str, str]]) -> str:
    parts = [
        "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in values.items())])
        for name, values in sections.items()
    ]
    return f"{WRITTEN_BY}\n" + "\n\n".join(parts) + "\n"
