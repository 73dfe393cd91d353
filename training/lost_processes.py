"""Tells an error that only says that another process of the run is gone from one of this process."""

from __future__ import annotations

import os

from contracts.errors import JobLostError

SIGNS = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Socket closed",
    "NCCL Error",
    "NCCL communicator was aborted",
)
"""What gloo and NCCL say in the middle of an exchange."""


def lost_process_error(error: BaseException) -> JobLostError | None:
    """What to raise in its place: the run can go on from its last checkpoint. None for any other error."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return None
    import torch.distributed as distributed

    is_of_exchange = isinstance(error, distributed.DistBackendError | distributed.DistNetworkError)
    if not is_of_exchange and not (isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)):
        return None
    return JobLostError(
        "Another process of the job vanished",
        value=(str(error) or type(error).__name__).splitlines()[0][:200],
        next_step="start the job again: it resumes from its last checkpoint",
    )
