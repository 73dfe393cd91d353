"""Stage gate: an evaluation against the bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.gate import decide_gate

if TYPE_CHECKING:
    from contracts.evaluation import GateRequest, GateVerdict
    from stages.services import Services


def gate(request: GateRequest, services: Services) -> GateVerdict:
    """Decide, and record the verdict with the evaluation; the newest verdict counts."""
    with services.unit_of_work() as uow:
        verdict = decide_gate(uow.evaluations.get(request.evaluation_id), request)
        uow.evaluations.record_verdict(verdict)
    return verdict
