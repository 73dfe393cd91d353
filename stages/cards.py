"""The NVIDIA cards of a host as their driver tells them, and the machine around them; without torch."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contracts.gpus import CardReading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from training.machine import Machine


@contextmanager
def card_handles() -> Iterator[list[Any]]:
    """The driver's handle of each card; none where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield []
        return
    try:
        yield [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def real_gpus() -> int:
    """Number of NVIDIA cards."""
    with card_handles() as handles:
        return len(handles)


def cards() -> list[tuple[int, str]]:
    """Memory and name of each card."""
    import pynvml

    with card_handles() as handles:
        return [
            (int(pynvml.nvmlDeviceGetMemoryInfo(handle).total), str(pynvml.nvmlDeviceGetName(handle)))
            for handle in handles
        ]


def card_readings() -> list[CardReading]:
    """What each card does now; what its driver does not tell is None."""
    import pynvml

    def told(ask: Callable[[], float]) -> float | None:
        try:
            return ask()
        except pynvml.NVMLError:
            return None

    readings = []
    with card_handles() as handles:
        for index, handle in enumerate(handles):
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            readings.append(
                CardReading(
                    index=index,
                    memory_used_bytes=int(memory.used),
                    memory_bytes=int(memory.total),
                    busy_ratio=told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),  # noqa: B023
                    temperature_celsius=told(
                        lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)  # noqa: B023
                    ),
                    power_watts=told(lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000),  # noqa: B023
                )
            )
    return readings


def this_machine() -> Machine:
    """What decides about a recipe's options."""
    import pynvml

    from training.machine import Machine, installed_packages

    with card_handles() as handles:
        capabilities = [tuple(map(int, pynvml.nvmlDeviceGetCudaComputeCapability(handle))) for handle in handles]
    return Machine(
        gpus=len(capabilities),
        capability=min(((major, minor) for major, minor in capabilities), default=None),
        packages=installed_packages(),
    )
