"""The control process as the public one sees it: started, started again when it ends, and told to end."""

import asyncio
import logging
import os
import socket
import sys
import time

from settings import Settings

log = logging.getLogger(__name__)

MODULE = "serving_api.control"
RESTART_SECONDS = 0.5
MAX_RESTART_SECONDS = 10.0
STEADY_SECONDS = 30.0
"""Whoever ran so long is started again at once."""
STOP_SECONDS = 14.0
"""More than it takes to end its answers and to store what waits."""


class ControlProcess:
    """One at a time. It ends by itself when its standard input is closed: also when this process is killed."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        """`listener`: where it answers."""
        self._settings = settings
        self._listener = listener
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it, now and whenever it has ended."""
        self._task = asyncio.create_task(self._run_forever())

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

    async def _run_forever(self) -> None:
        pause_s = RESTART_SECONDS
        while True:
            began = time.monotonic()
            try:
                self._process = await self._started()
            except OSError:
                # too little memory, too many processes: that may pass
                log.exception("the control process could not be started; again in %.1f s", pause_s)
            else:
                status = await self._process.wait()
                if time.monotonic() - began > STEADY_SECONDS:
                    pause_s = RESTART_SECONDS
                log.error("the control process has ended (%d) and is started again in %.1f s", status, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_RESTART_SECONDS)

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
