"""The process that looks at A/B tests when it is told: `python -m serving_api.guardrail_looks`.

It reads the ids of experiments from its standard input, and ends when that is closed.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING

from contracts.errors import TunewayError
from contracts.experiment_decisions import MonitorABTestRequest
from serving_api.guardrail_watch import EVERY_RUNNING
from settings.logs import start_logging
from stages.monitor_ab_test import monitor_ab_test
from stages.services import open_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.services import Services

log = logging.getLogger(__name__)

IDLE_SECONDS = 1800.0
"""Nobody has told anything for so long: the next error starts another process."""
PAUSE_SECONDS = 1.0
PAUSE_OF_LOOK = 5.0
"""A look that takes long over many answers is not repeated at once: it gets at most a sixth of the time."""


def main() -> None:
    """Look until standard input is closed."""
    start_logging("serving-api")
    try:
        services = open_services()
    except TunewayError as error:
        sys.exit(error.sentence())
    # scipy takes a second or more to import: before the first error, not after it
    import_module("ab_testing.results")
    for told in told_experiments():
        began = time.monotonic()
        look_at(told, services)
        time.sleep(max(PAUSE_SECONDS, PAUSE_OF_LOOK * (time.monotonic() - began)))


def told_experiments() -> Iterator[set[str]]:
    """Everything that was told since the last time."""
    descriptor = sys.stdin.fileno()
    while select.select([descriptor], [], [], IDLE_SECONDS)[0]:
        lines = os.read(descriptor, 65536)
        if not lines:
            return
        yield set(lines.decode().split())


def look_at(told: set[str], services: Services) -> None:
    """One look at each; what fails is left to the next one and to the minute's."""
    ids = [None] if EVERY_RUNNING in told else [int(number) for number in sorted(told)]
    for experiment_id in ids:
        try:
            report = monitor_ab_test(MonitorABTestRequest(experiment_id=experiment_id), services, leaves_losers=False)
        except TunewayError as error:
            log.warning("the look at %s failed: %s", experiment_id or "every A/B test", error)
            continue
        for each in report.experiments:
            if each.decision is not None:
                log.info("%s has decided: %s", each.experiment_name, each.decision.reason)


if __name__ == "__main__":
    main()
