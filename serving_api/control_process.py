"""The control process as the public one sees it: started, started again when it ends or hangs, and told to end."""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable

from settings import Settings

log = logging.getLogger(__name__)

MODULE = "serving_api.control"
RESTART_SECONDS = 0.5
MAX_RESTART_SECONDS = 10.0
STEADY_SECONDS = 30.0
"""Whoever ran so long is started again at once."""
LOOK_SECONDS = 5.0
HANG_SECONDS = 120.0
"""Whoever has not answered for so long is ended. A start on a busy machine takes some 20 s."""
STOP_SECONDS = 14.0
"""More than it takes to end its answers and to store what waits."""


class ControlProcess:
    """One at a time. It ends by itself when its standard input is closed: also when this process is killed."""

    def __init__(self, settings: Settings, listener: socket.socket, hang_seconds: float = HANG_SECONDS) -> None:
        """`listener`: where it answers."""
        self._hang_seconds = hang_seconds
        self._settings = settings
        self._listener = listener
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, is_alive: Callable[[], Awaitable[bool]]) -> None:
        """Start it, now and whenever it has ended, or has not been alive for `hang_seconds`."""
        self._task = asyncio.create_task(self._run_forever(is_alive))

    async def stop(self) -> None:
        """Let it store what waits, and end it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None, "it was opened with a pipe"
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            log.warning("the control process has not ended within %.0f s and is killed", STOP_SECONDS)
            process.kill()
            await process.wait()

    async def _run_forever(self, is_alive: Callable[[], Awaitable[bool]]) -> None:
        pause_s = RESTART_SECONDS
        while True:
            began = time.monotonic()
            try:
                self._process = await self._started()
            except OSError:
                # too little memory, too many processes: that may pass
                log.exception("the control process could not be started; again in %.1f s", pause_s)
            else:
                status = await self._until_it_ends(self._process, is_alive)
                if time.monotonic() - began > STEADY_SECONDS:
                    pause_s = RESTART_SECONDS
                log.error("the control process has ended (%d) and is started again in %.1f s", status, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_RESTART_SECONDS)

    async def _until_it_ends(self, process: asyncio.subprocess.Process, is_alive: Callable[[], Awaitable[bool]]) -> int:
        """Its exit status; one that has not answered for too long is killed."""
        ending = asyncio.create_task(process.wait())
        try:
            heard_at = time.monotonic()
            while not ending.done():
                await asyncio.wait({ending}, timeout=min(LOOK_SECONDS, self._hang_seconds))
                if ending.done() or await is_alive():
                    heard_at = time.monotonic()
                elif time.monotonic() - heard_at > self._hang_seconds:
                    log.error("the control process has not answered for %.0f s and is killed", self._hang_seconds)
                    process.kill()
                    await ending
            return ending.result()
        finally:
            ending.cancel()

    async def _started(self) -> asyncio.subprocess.Process:
        descriptor = self._listener.fileno()
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            str(descriptor),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(descriptor,),
            # a signal to the group of the public process is not for it: that one ends it after its own answers
            start_new_session=True,
            cwd=self._settings.repository_root,
            env={**os.environ, **self._settings.as_environment()},
        )
