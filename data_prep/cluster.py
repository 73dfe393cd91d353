"""Pieces of work done by the workers of a Dask cluster, on this machine and on others.

A worker does what a process of `data_prep.workers` does: it opens a task once, does pieces by their numbers, and leaves
their files in the folder that all machines share. What travels is a piece's number and what it told. A worker that
vanishes has its pieces done by another; one done twice finds its files there.
"""

from __future__ import annotations

import gc
import ipaddress
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import InvalidRequestError, TunewayError, UnavailableError, error_from_record
from contracts.record import JsonObject
from settings import load_settings
from settings.encryption import use_encryption
from storage.files import sha256_of_file

if TYPE_CHECKING:
    from data_prep.workers import Task
    from settings import Settings

WORKERS_SECONDS = 60
"""For the first worker to be there."""
OPEN_TASKS = 2
"""A task holds language models and word lists; a worker that goes from one version to the next keeps the last."""
TLS_FILES = {"tls_ca_file": "ca.pem", "tls_client_cert": "cert.pem", "tls_client_key": "key.pem"}


def run_on_cluster(
    settings: Settings, module: str, function: str, plan: Path, pieces: Sequence[int]
) -> Iterator[tuple[int, JsonObject]]:
    """Do the pieces; yields each with what it told, in the order in which they end.

    Raises the TunewayError of a piece that fails, InvalidRequestError for an address that may not be used so, or
    UnavailableError where the cluster is not there; the rest is then taken back.
    """
    address = str(settings.data_scheduler)
    try:
        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise UnavailableError(
            "The packages of the data cluster are not installed",
            value=str(error),
            next_step="python3.11 setup/install.py --with cluster (without internet: the archive's install.sh, with "
            "--with cluster), or unset TUNEWAY_DATA_SCHEDULER",
        ) from error
    security = _security(address, settings.data_tls_dir)
    try:
        client: Any = Client(address, security=security, timeout=WORKERS_SECONDS, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise _no_cluster(address, error) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError as error:
            raise _no_cluster(address, error) from error
        digest = sha256_of_file(plan)
        # not pure: Dask would answer from what it remembers of an earlier run, whose files may be gone
        waiting = [
            client.submit(do_piece, module, function, str(plan), digest, piece, pure=False, retries=0)
            for piece in pieces
        ]
        try:
            for future in as_completed(waiting, loop=client.loop):
                try:
                    answer = future.result()
                except KilledWorker as error:
                    raise UnavailableError(
                        "Workers of the data cluster vanish with a piece of this work",
                        value=str(error).splitlines()[0],
                        next_step="see their logs; if memory ran out (`dmesg` tells), run fewer on a machine",
                    ) from error
                if "error" in answer:
                    raise error_from_record(answer["error"])
                yield answer["piece"], answer["told"]
        finally:
            client.cancel(waiting, force=True)


def do_piece(module: str, function: str, plan: str, digest: str, piece: int) -> JsonObject:
    """In a worker: the piece of that number, and what it told or the four parts of its error."""
    try:
        told = _opened(module, function, plan, digest)(piece)
    except TunewayError as error:
        return {"error": error.as_record()}
    finally:
        gc.collect()
    return {"piece": piece, "told": told}


@lru_cache(maxsize=OPEN_TASKS)
def _opened(module: str, function: str, plan: str, digest: str) -> Task:
    """The task, opened once in each worker. Raises InvalidRequestError where this machine sees another plan, or none."""
    path = Path(plan)
    if not path.is_file() or sha256_of_file(path) != digest:
        raise InvalidRequestError(
            "A worker of the data cluster does not see the data folder as the others do",
            value=f"{plan} on {os.uname().nodename}",
            allowed="the same folder under the same path on every machine",
            next_step="mount it there, and set TUNEWAY_DATA_DIR for the worker",
        )
    use_encryption(load_settings())
    task: Task = getattr(import_module(module), function)(path)
    return task


def _security(address: str, folder: Path | None) -> Any:
    """TLS in both directions. Raises InvalidRequestError for an open address beyond this machine.

    Whoever reaches a scheduler has any code run by its workers.
    """
    from distributed.security import Security

    if folder is not None:
        missing = [name for name in TLS_FILES.values() if not (folder / name).is_file()]
        if missing:
            raise InvalidRequestError(
                "A file for the data cluster's TLS is missing",
                value=f"{', '.join(missing)} in {folder}",
                allowed=", ".join(TLS_FILES.values()),
                next_step="see docs/data/cluster.md",
            )
        return Security(require_encryption=True, **{option: str(folder / name) for option, name in TLS_FILES.items()})
    host = address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    if host != "localhost" and not _is_loopback(host):
        raise InvalidRequestError(
            "A data cluster on other machines wants TLS",
            value=address,
            allowed="tls://… with TUNEWAY_DATA_TLS_DIR, or an address of this machine",
            next_step="make certificates and set TUNEWAY_DATA_TLS_DIR: see docs/data/cluster.md",
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _no_cluster(address: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        "The data cluster does not answer, or has no workers",
        value=f"{address} ({type(error).__name__})",
        next_step="start its scheduler and workers (docs/data/cluster.md), or unset TUNEWAY_DATA_SCHEDULER",
    )
