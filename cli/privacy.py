"""`tuneway privacy`: where a person's data is, its deletion, and the certificate of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from contracts.errors import NotFoundError
from settings import language

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.screen import Screen
    from contracts.privacy import AffectedModel, DeletionCertificate, SubjectPlace
    from data_prep.subjects.identifiers import Identifier
    from stages.services import Services


def _help(key: str) -> str:
    return translate(f"privacy.{key}", language())


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=translate("help.privacy", language()),
)

AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Subject = Annotated[list[str], typer.Argument(metavar="SUBJECT…", help=_help("arg_subject"))]
Reason = Annotated[str, typer.Option("--reason", help=_help("opt_reason"))]


@app.command("find", help=_help("help_find"))
def find(subject: Subject, reason: Reason, by: By, as_json: AsJson = False) -> None:
    """Show where the person is; nothing is changed."""
    from stages.privacy import find_subject

    with told(as_json) as (screen, services):
        report = find_subject(_identifiers(subject), services, actor=by, reason=reason, on_progress=_progress(screen))
        screen.idle()
        if as_json:
            print_json(report.model_dump(mode="json"))
            return
        if not report.places:
            screen.say("privacy.nothing", rows=report.rows_read)
        else:
            screen.say("privacy.found", certain=report.certain, shared=report.shared, rows=report.rows_read)
        _show(report.places, report.models, report.source_files, screen)
        for place in report.unreadable:
            screen.say("privacy.unreadable", place=place)


@app.command("erase", help=_help("help_erase"))
def erase(
    subject: Subject,
    reason: Reason,
    by: By,
    with_shared: Annotated[bool, typer.Option("--with-shared", help=_help("opt_shared"))] = False,
    yes: Annotated[bool, typer.Option("--yes", help=_help("opt_yes"))] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the person's rows; the certificate."""
    from stages.privacy import erase_subject, find_subject

    with told(as_json) as (screen, services):
        identifiers = _identifiers(subject)
        if not yes:
            report = find_subject(identifiers, services, actor=by, reason=reason, on_progress=_progress(screen))
            screen.idle()
            _show(report.places, report.models, report.source_files, screen)
            rows = report.certain + (report.shared if with_shared else 0)
            typer.confirm(translate("privacy.really", language()).format(certain=rows), abort=True, err=True)
        certificate = erase_subject(
            identifiers,
            services,
            actor=by,
            reason=reason,
            with_shared=with_shared,
            on_progress=_progress(screen),
        )
        screen.idle()
        if as_json:
            print_json(certificate.model_dump(mode="json"))
            return
        _show(certificate.erased, certificate.models, certificate.source_files, screen)
        screen.done("privacy.erased", rows=_rows(certificate), path=_path(certificate, services))
        if certificate.kept_shared:
            screen.warn("privacy.kept", shared=certificate.kept_shared)
        screen.say("privacy.backups")


@app.command("certificates", help=_help("help_certificates"))
def list_certificates(as_json: AsJson = False) -> None:
    """What was deleted so far."""
    from stages.privacy import certificates

    with told(as_json) as (screen, services):
        found = certificates(services)
        if as_json:
            print_json([certificate.model_dump(mode="json") for certificate in found])
            return
        for certificate in found:
            screen.say(
                "privacy.certificate",
                certificate_id=certificate.certificate_id,
                finished_at=certificate.finished_at.isoformat(timespec="seconds"),
                rows=_rows(certificate),
                reason=certificate.reason,
            )
        if not found:
            screen.say("privacy.no_certificates")


@app.command("verify", help=_help("help_verify"))
def verify(
    certificate: Annotated[str, typer.Argument(metavar="CERTIFICATE", help=_help("arg_certificate"))],
    public_key: Annotated[Path | None, typer.Option("--public-key", help=_help("opt_key"))] = None,
    as_json: AsJson = False,
) -> None:
    """Whether the installation signed it."""
    from stages.privacy import is_genuine

    with told(as_json) as (screen, services):
        found = _certificate(certificate, services)
        genuine = is_genuine(found, services, public_key)
        if as_json:
            print_json({"certificate_id": found.certificate_id, "is_genuine": genuine})
        elif genuine:
            screen.done("privacy.genuine", certificate_id=found.certificate_id)
        else:
            screen.warn("privacy.forged", certificate_id=found.certificate_id)
        if not genuine:
            raise typer.Exit(1)


def _identifiers(given: Sequence[str]) -> list[Identifier]:
    from data_prep.subjects.identifiers import parse_identifiers

    return parse_identifiers(sys.stdin.read().splitlines() if list(given) == ["-"] else given)


def _certificate(given: str, services: Services) -> DeletionCertificate:
    from stages.privacy import certificates, read_certificate

    if Path(given).is_file():
        return read_certificate(Path(given))
    for certificate in certificates(services):
        if certificate.certificate_id == given:
            return certificate
    raise NotFoundError(
        "There is no such certificate", value=given, next_step="see `tuneway privacy certificates`, or give its file"
    )


def _show(
    places: Sequence[SubjectPlace], models: Sequence[AffectedModel], source_files: Sequence[str], screen: Screen
) -> None:
    for place in places:
        screen.say(
            "privacy.place",
            kind=screen.text(f"privacy.kind_{place.kind.value}"),
            name=place.name,
            certain=place.certain,
            shared=place.shared,
        )
    for model in models:
        screen.warn("privacy.model", label=model.label, through=", ".join(model.through))
    for path in source_files:
        screen.warn("privacy.source", path=path)


def _rows(certificate: DeletionCertificate) -> int:
    return sum(place.certain + place.shared for place in certificate.erased)


def _path(certificate: DeletionCertificate, services: Services) -> Path:
    from stages.privacy import CERTIFICATE_FILE

    return services.settings.privacy_dir / certificate.certificate_id / CERTIFICATE_FILE


class _progress:
    """Shows what is read, and how far."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __call__(self, what: str, done: int, total: int) -> None:
        self._screen.busy("privacy.reading", what=what, done=done, total=total)
