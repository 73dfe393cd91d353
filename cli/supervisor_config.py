"""supervisord.conf of one installation, rendered from its settings."""

import shlex
import sys
from pathlib import Path

from cli.programs import Program, platform_programs
from settings import Settings

MODEL_SERVERS = "model-servers"
"""A supervisor of model servers alone, where another one than `tuneway up` has the rest."""


def configuration_file(settings: Settings) -> Path:
    """Where the rendered configuration lies."""
    return settings.run_dir / "supervisord.conf"


def programs_dir(settings: Settings) -> Path:
    """Folder of further programs: one .conf a model server, taken up by `supervisorctl update`."""
    return settings.run_dir / "programs.d"


def log_file(settings: Settings, name: str) -> Path:
    """Log of a process."""
    return settings.logs_dir / f"{name}.log"


def _escape(text: object) -> str:
    """Supervisord expands %(name)s in every value."""
    return str(text).replace("%", "%%")


def _environment(variables: dict[str, str]) -> str:
    """Supervisord's quoting knows no escapes, so a value may hold one kind of quote only."""
    parts = []
    for name, value in sorted(variables.items()):
        quote = "'" if '"' in value else '"'
        parts.append(f"{name}={quote}{_escape(value)}{quote}")
    return ",".join(parts)


def _command(settings: Settings, program: Program) -> list[str]:
    if not program.run_alone:
        return list(program.command)
    group_file = settings.run_dir / "groups" / f"{program.name}.json"
    return [sys.executable, "-P", "-m", "cli.run_alone", str(group_file), *program.command]


def _program_section(settings: Settings, program: Program) -> str:
    values = {
        "command": shlex.join(_command(settings, program)),
        "directory": settings.run_dir,
        # `tuneway up` starts them in order, each after what it needs
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 2,
        "startretries": 5,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_seconds,
        "stopasgroup": str(program.stop_group).lower(),
        "killasgroup": str(program.stop_group).lower(),
        "priority": program.priority,
        "umask": "077",
        "redirect_stderr": "true",
        # this one is expanded twice
        "stdout_logfile": _escape(log_file(settings, program.name)),
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": 3,
    }
    lines = [f"[program:{program.name}]", *(f"{name}={_escape(value)}" for name, value in values.items())]
    if program.environment:
        lines.append(f"environment={_environment(program.environment)}")
    return "\n".join(lines)


def render_configuration(settings: Settings, programs: list[Program] | None = None) -> str:
    """The whole file, by default with all of the platform's programs. It holds MLflow's database password: mode 0600.

    The TUNEWAY_* variables and the other common ones come through supervisord's own environment, so that any
    value survives and the model servers of programs.d have them too.
    """
    socket = settings.supervisor_socket
    head = f"""\
; Written by `tuneway up` from the settings; changes here are lost.
[unix_http_server]
file={_escape(socket)}
chmod=0700

[supervisord]
logfile={_escape(log_file(settings, "supervisord"))}
logfile_maxbytes=10MB
logfile_backups=2
pidfile={_escape(settings.run_dir / "supervisord.pid")}
identifier=tuneway
directory={_escape(settings.run_dir)}
nodaemon=false
umask=077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{_escape(socket)}
"""
    listed = platform_programs(settings) if programs is None else programs
    sections = [_program_section(settings, program) for program in listed]
    # relative: supervisord splits the list at blanks, and the data folder's path may have some
    return "\n\n".join([head.rstrip(), *sections, "[include]\nfiles=programs.d/*.conf"]) + "\n"
