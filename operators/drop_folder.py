"""Files that people drop start runs: the triggerer watches the folder, an asset event carries each file."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from contracts.errors import TunewayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from airflow.sdk import Context

    from contracts.record import JsonObject

log = logging.getLogger(__name__)

POLL_SECONDS = 10.0
SETTLED_SECONDS = 30.0
ANNOUNCED_AGAIN_SECONDS = 600.0
"""A file that was announced and that no run has taken up: a triggerer or scheduler was killed in between."""


class DropFolderTrigger(BaseEventTrigger):
    """An event for each file that has settled in the drop folder, after it was moved to `taken/<date>/`.

    At least one event a file: what was taken and has no run yet is announced again.
    """

    def __init__(self, poll_seconds: float = POLL_SECONDS, settled_seconds: float = SETTLED_SECONDS) -> None:
        super().__init__()
        self.poll_seconds = poll_seconds
        self.settled_seconds = settled_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Everything that makes the same trigger in another process."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"poll_seconds": self.poll_seconds, "settled_seconds": self.settled_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Events for ever; a file that cannot be announced is logged and left where it is."""
        announced: dict[Path, float] = {}
        while True:
            try:
                files = await asyncio.to_thread(waiting_files, self.settled_seconds)
            except Exception as error:  # noqa: BLE001 - the database may be away; the watch goes on
                self.log.warning("The drop folder could not be looked at: %s", error)
                files = []
            for path in files:
                if time.monotonic() - announced.get(path, -ANNOUNCED_AGAIN_SECONDS) < ANNOUNCED_AGAIN_SECONDS:
                    continue
                announced[path] = time.monotonic()
                try:
                    request = request_of(path)
                except TunewayError as error:
                    self.log.error("%s", error.sentence())
                    continue
                self.log.info("Taken: %s", path)
                yield TriggerEvent(request)
            await asyncio.sleep(self.poll_seconds)


def waiting_files(settled_seconds: float) -> list[Path]:
    """Take what has settled; everything that was taken and that no run of `prepare_dataset` was asked to import."""
    from datetime import timedelta

    from data_prep.imports.inbox import take_settled_files, taken_files
    from stages.services import open_services

    services = open_services()
    folder = services.settings.drop_dir
    take_settled_files(folder, settled_after=timedelta(seconds=settled_seconds))
    taken = taken_files(folder)
    if not taken:
        return []
    with services.unit_of_work() as uow:
        begun = uow.pipeline_runs.input_files_among([str(path) for path in taken])
    return [path for path in taken if str(path) not in begun]


def request_of(path: Path) -> JsonObject:
    """What the file asks for: the dataset that its name names. Raises InvalidRequestError."""
    from data_prep.imports.inbox import dataset_name_of

    return {"dataset_name": dataset_name_of(path), "input_files": [str(path)]}


INPUT_FILES = Asset(
    name="input_files",
    uri="x-tuneway://input-files",
    group="dataset",
    watchers=[AssetWatcher(name="drop_folder", trigger=DropFolderTrigger())],
)
"""Files to make a dataset version of. The extra of an event is the request: `dataset_name`, `input_files` and so on."""


def asked_values(context: Context) -> Mapping[str, Any]:
    """What the run was asked: by the asset events that started it, else by its parameters.

    Events of one dataset that came at the same time are one request with all their files. Of several datasets the first
    is done; the drop folder announces the others again, and programs that sent one find this in the log.
    """
    events = [event for found in (context.get("triggering_asset_events") or {}).values() for event in found]
    asked = [dict(event.extra.get("payload") or event.extra) for event in events if event.extra]
    asked = [{name: value for name, value in one.items() if name != "from_trigger"} for one in asked]
    asked = [one for one in asked if one]
    if not asked:
        params: Mapping[str, Any] = context["params"]
        return params
    first, *others = asked
    for other in others:
        if {**other, "input_files": []} == {**first, "input_files": []}:
            first["input_files"] = list(dict.fromkeys([*first.get("input_files", []), *other.get("input_files", [])]))
        else:
            log.warning("Another request came at the same moment; send it again: %s", other)
    return first
