"""A control process that hangs is ended and started anew; one that only waits for PostgreSQL is not."""

import asyncio
import os
import pathlib
import signal
import time

import psutil
import pytest

from serving_api.control_door import ControlDoor, listener
from serving_api.control_process import MODULE, ControlProcess
from tests.serving_api.policy_server import with_policies
from tests.serving_api.running import make_secrets

pytestmark = [pytest.mark.slow, pytest.mark.deep]
HANG_SECONDS = 12.0
"""Longer than a start takes here."""


async def test_one_that_hangs_is_killed_and_follows_itself(services):
    services = with_policies(services)
    make_secrets(services.settings.secrets_dir)
    door = ControlDoor(services.settings.run_dir)
    control = ControlProcess(services.settings, listener(services.settings.run_dir), hang_seconds=HANG_SECONDS)
    control.start(door.is_alive)
    try:
        await until_alive(door)
        (first,) = controls()
        os.kill(first, signal.SIGSTOP)
        assert await door.is_alive() is False
        while first in controls():
            await asyncio.sleep(0.2)
        await until_alive(door)
        # as long again: what answers is left alone
        (second,) = controls()
        await asyncio.sleep(1.5 * HANG_SECONDS)
        assert controls() == [second]
    finally:
        await control.stop()
    assert not pathlib.Path(f"/proc/{second}").exists()


def controls() -> list[int]:
    """Process ids of the control processes that this one has started and not seen end."""
    children = psutil.Process().children()
    return [child.pid for child in children if MODULE in child.cmdline()]


async def until_alive(door):
    deadline = time.monotonic() + 120
    while not await door.is_alive():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
