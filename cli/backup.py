"""`tuneway backup`, `verify-backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import By, print_json, told
from cli.texts import translate
from contracts.errors import InvalidRequestError
from settings import language

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.backups import BackupReport

EXIT_DAMAGED = 3


def _help(key: str) -> str:
    return translate(f"backup.{key}", language())


AsJson = Annotated[bool, typer.Option("--json", help=translate("help.json", language()))]
Key = Annotated[Path, typer.Option("--key", help=_help("opt_key"))]


def backup(
    key: Key,
    by: By,
    to: Annotated[Path | None, typer.Option("--to", help=_help("opt_to"))] = None,
    keys_to: Annotated[Path | None, typer.Option("--keys-to", help=_help("opt_keys_to"))] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help=_help("opt_new_key"))] = False,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help=_help("opt_keep"))] = None,
    as_json: AsJson = False,
) -> None:
    """Save the running installation."""
    from cli.stage_progress import ScreenProgress
    from contracts.backups import BackupContents
    from stages.backups.creating import back_up, refuse_bad_place
    from storage.encryption.key_keepers import make_key_file

    with told(as_json) as (screen, services):
        places = {BackupContents.DATA: to, BackupContents.KEYS: keys_to}
        wanted = {contents: folder for contents, folder in places.items() if folder is not None}
        _require_two_places(to, keys_to)
        for folder in wanted.values():
            refuse_bad_place(folder, key, services.settings)
        if new_key and not key.exists():
            make_key_file(key)
            screen.warn("backup.key_made", path=key)
        reports = []
        for contents, folder in wanted.items():
            progress = ScreenProgress(screen)
            reports.append(back_up(folder, key, contents, services, actor=by, keep=keep, on_progress=progress))
            screen.idle()
            if not as_json:
                _show(reports[-1], screen)
        if as_json:
            print_json([report.model_dump(mode="json") for report in reports])


def verify_backup(
    repository: Annotated[Path, typer.Argument(help=_help("arg_repository"))],
    key: Key,
    mend: Annotated[bool, typer.Option("--mend", help=_help("opt_mend"))] = False,
    as_json: AsJson = False,
) -> None:
    """Read a backup through."""
    from cli.screen import in_units
    from cli.stage_progress import ScreenProgress
    from stages.backups.checking import check_repository
    from stages.backups.repository import BackupRepository

    with told(as_json) as (screen, _):
        opened = BackupRepository.open(repository, key)
        check = check_repository(opened, mend=mend, on_progress=ScreenProgress(screen))
        screen.idle()
        if as_json:
            print_json(check.model_dump(mode="json"))
        else:
            for found in check.snapshots:
                damaged = screen.text("backup.not_whole", paths=", ".join(found.damaged[:5]))
                screen.say(
                    "backup.check_line",
                    made_at=found.made_at,
                    snapshot=found.snapshot_id,
                    size=in_units(found.size),
                    verdict=screen.text("backup.whole") if found.is_whole else damaged,
                )
            for snapshot_id in check.unreadable_snapshots:
                screen.warn("backup.unreadable", snapshot=snapshot_id)
            screen.say("backup.checked", objects=check.objects, seconds=check.seconds, damaged=check.damaged_objects)
            if check.set_aside:
                screen.warn("backup.set_aside", count=check.set_aside)
        if not check.is_whole:
            raise typer.Exit(EXIT_DAMAGED)


def restore(
    source: Annotated[Path, typer.Option("--from", help=_help("opt_from"))],
    keys_from: Annotated[Path, typer.Option("--keys-from", help=_help("opt_keys_from"))],
    key: Key,
    by: By,
    snapshot: Annotated[str | None, typer.Option("--snapshot", help=_help("opt_snapshot"))] = None,
    keys_snapshot: Annotated[str | None, typer.Option("--keys-snapshot", help=_help("opt_keys_snapshot"))] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_help("opt_dry_run"))] = False,
    as_json: AsJson = False,
) -> None:
    """Bring an installation back from its backup."""
    from cli.screen import in_units
    from cli.stage_progress import ScreenProgress
    from contracts.backups import BackupContents, EntryKind
    from stages.backups.repository import BackupRepository
    from stages.backups.restoring import restore_installation

    with told(as_json) as (screen, services):
        data = BackupRepository.open(source, key, BackupContents.DATA)
        keys = BackupRepository.open(keys_from, key, BackupContents.KEYS)
        if dry_run:
            chosen = data.snapshot(snapshot)
            keys.snapshot(keys_snapshot)
            if as_json:
                print_json(chosen.model_dump(mode="json", exclude={"entries", "databases"}))
                return
            screen.say(
                "backup.would_restore",
                made_at=chosen.made_at,
                snapshot=chosen.snapshot_id,
                folder=services.settings.data_dir,
                files=sum(entry.kind is EntryKind.FILE for entry in chosen.entries),
                databases=", ".join(dump.name for dump in chosen.databases),
                size=in_units(chosen.size),
            )
            return
        report = restore_installation(
            data,
            keys,
            services.settings,
            actor=by,
            snapshot_id=snapshot,
            keys_snapshot_id=keys_snapshot,
            on_progress=ScreenProgress(screen),
        )
        screen.idle()
        if as_json:
            print_json(report.model_dump(mode="json"))
        else:
            screen.done(
                "backup.restored",
                folder=report.data_dir,
                files=report.files,
                databases=", ".join(report.databases),
                size=in_units(report.size),
                seconds=report.seconds,
                entries=report.audit_entries,
            )
            screen.say("backup.now_up")
        if not report.audit_is_whole:
            screen.warn("backup.audit_broken")
            raise typer.Exit(EXIT_DAMAGED)


def _require_two_places(to: Path | None, keys_to: Path | None) -> None:
    if to is None and keys_to is None:
        raise InvalidRequestError(
            "Nothing was said of where the backup goes",
            allowed="--to FOLDER, --keys-to FOLDER, or both",
            next_step="name a folder on another disk",
        )
    if to is None or keys_to is None:
        return
    data, keys = to.resolve(), keys_to.resolve()
    if data.is_relative_to(keys) or keys.is_relative_to(data):
        raise InvalidRequestError(
            "Data and keys do not lie in one folder: whoever finds both can read everything",
            value=keys,
            next_step="name a folder in another place for --keys-to",
        )


def _show(report: BackupReport, screen: Screen) -> None:
    from cli.screen import in_units

    screen.done(
        "backup.done",
        contents=screen.text(f"backup.contents_{report.contents.value}"),
        snapshot=report.snapshot_id,
        files=report.files,
        unchanged=report.unchanged_files,
        databases=", ".join(report.databases) or "-",
        size=in_units(report.size),
        written=in_units(report.written),
        seconds=report.seconds,
    )
    if report.vanished:
        screen.warn("backup.vanished", count=report.vanished)
    if report.removed_snapshots:
        screen.say("backup.removed", count=len(report.removed_snapshots))
