"""What the audit trail keeps of a job's life, whoever began it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.audit import AuditEvent, SubjectCategory

if TYPE_CHECKING:
    from contracts.training import TrainRequest


def created_event(job_id: int, request: TrainRequest, actor: str) -> AuditEvent:
    """The job was created. The same request again is the same job and the same event."""
    return AuditEvent(
        event_id=f"job.created/{job_id}",
        actor=actor,
        action="job.created",
        subject=f"job/{job_id}",
        category=SubjectCategory.TRAINING_DATA,
        details={"name": request.job_name, "dataset_id": request.dataset_id, "base_model": request.base_model},
    )
