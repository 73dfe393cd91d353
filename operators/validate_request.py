"""The first task of every DAG: whatever can be known to be wrong is said here, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from operators.drop_folder import asked_values
from operators.failures import airflow_failures
from operators.params import parse_request
from operators.run_records import RunRecords, services_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow.sdk import Context

    from contracts.record import JsonObject, Record
    from stages.services import Services


class ValidateRequestOperator(BaseOperator):
    """Turns the run's parameters into its request record, checks it against the installation, opens the run's row.

    :param request: the record
    :param fields: the record's fields that this DAG takes; None takes all
    :param checks: each looks at the request, the installation and whoever started the run, and raises a TunewayError
    """

    ui_color = "#f3e8fd"

    def __init__(
        self,
        *,
        request: type[Record],
        fields: Iterable[str] | None = None,
        checks: Iterable[Callable[[Any, Services], None]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.request = request
        self.fields = None if fields is None else tuple(fields)
        self.checks = tuple(checks)

    def execute(self, context: Context) -> JsonObject:
        """The request as JSON, for the tasks after this one."""
        with airflow_failures():
            services = services_for(context)
            run = RunRecords.of(context)
            request = parse_request(self.request, asked_values(context), self.fields)
            for check in self.checks:
                check(request, services)
            as_json = request.model_dump(mode="json")
            with services.unit_of_work() as uow:
                uow.pipeline_runs.start(run.pipeline_run_id, run.dag_id, as_json)
            return as_json
