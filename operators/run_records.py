"""The records that the tasks of one run have left for those after them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from contracts.errors import NotFoundError
from contracts.record import Record
from operators.run_ids import pipeline_run_id
from stages.services import open_services

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stages.services import Services

AnyRecord = TypeVar("AnyRecord", bound=Record)

VALIDATE_REQUEST = "validate_request"
"""The first task of every DAG; its record is the run's request."""

APPROVE_DEPLOYMENT = "approve_deployment"
"""The task whose answer lets a model version into service, where the run asks for one."""


def services_for(context: Mapping[str, Any]) -> Services:
    """The services of a task, which know who started its run: what the run makes is theirs."""
    return open_services(started_by=context["dag_run"].triggering_user_name or "")


@dataclass(frozen=True, slots=True)
class RunRecords:
    """One run's request and results, pulled from XCom by task.

    Pulled by name rather than wired as task outputs: an arrow from `validate_request` to every task would hide
    the pipeline's shape in the graph. The order is stated by the DAG's chain.
    """

    dag_id: str
    run_id: str
    pull: Callable[[str], Any]
    """Value that a task returned, or None."""

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> RunRecords:
        """The records of the run that a task's context belongs to."""
        task_instance = context["ti"]
        return cls(
            dag_id=task_instance.dag_id,
            run_id=task_instance.run_id,
            pull=lambda task_id: task_instance.xcom_pull(task_ids=task_id),
        )

    def request(self, kind: type[AnyRecord]) -> AnyRecord:
        """What the run was asked to do."""
        return self.record(VALIDATE_REQUEST, kind)

    def find(self, task_id: str, kind: type[AnyRecord]) -> AnyRecord | None:
        """The task's record, or None where the task was skipped or is not part of the DAG."""
        value = self.pull(task_id)
        return None if value is None else kind.model_validate(value)

    def record(self, task_id: str, kind: type[AnyRecord]) -> AnyRecord:
        """The task's record. Raises NotFoundError where it left none."""
        found = self.find(task_id, kind)
        if found is None:
            raise NotFoundError(
                f"The task {task_id} of this run has left no {kind.__name__}",
                value=self.run_id,
                next_step=f"clear {task_id} and the tasks after it",
            )
        return found

    @property
    def pipeline_run_id(self) -> str:
        """The run's id in PostgreSQL."""
        return pipeline_run_id(self.dag_id, self.run_id)

    @property
    def slug(self) -> str:
        """The run's id as part of a name: safe characters, at most 57 of them, one for each run of each DAG."""
        digest = hashlib.sha256(f"{self.dag_id}/{self.run_id}".encode()).hexdigest()[:8]
        return f"{re.sub(r'[^a-zA-Z0-9]+', '-', self.run_id).strip('-')[:48].strip('-') or 'run'}-{digest}"
