"""Contamination reports and who let contaminated cases count."""

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.contamination import ContaminationReport, ContaminationSettings
from contracts.errors import NotFoundError
from database.models import ContaminationReportRow


def _settings_sha256(settings: ContaminationSettings) -> str:
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()


def _record(row: ContaminationReportRow) -> ContaminationReport:
    return ContaminationReport.model_validate(
        {
            **row.report,
            "report_id": row.id,
            "override_reason": row.override_reason,
            "override_by": row.override_by,
            "override_at": row.override_at,
        }
    )


class ContaminationRepository:
    """Rows of contamination_reports."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, report: ContaminationReport) -> ContaminationReport:
        """Store the report; of the same dataset version, cases and settings the one that is there stays."""
        settings = _settings_sha256(report.settings)
        self._session.execute(
            insert(ContaminationReportRow)
            .values(
                dataset_id=report.dataset_id,
                suite_name=report.suite_name[:255],
                suite_sha256=report.suite_sha256,
                settings_sha256=settings,
                contaminated_cases=len(report.contaminated_cases),
                report=report.model_dump(
                    mode="json", exclude={"report_id", "override_reason", "override_by", "override_at"}
                ),
            )
            .on_conflict_do_nothing(index_elements=["dataset_id", "suite_sha256", "settings_sha256"])
        )
        found = self.find(report.dataset_id, report.suite_sha256, report.settings)
        assert found is not None
        return found

    def find(self, dataset_id: int, suite_sha256: str, settings: ContaminationSettings) -> ContaminationReport | None:
        """The report of exactly these rows, cases and settings."""
        row = self._session.execute(
            select(ContaminationReportRow).where(
                ContaminationReportRow.dataset_id == dataset_id,
                ContaminationReportRow.suite_sha256 == suite_sha256,
                ContaminationReportRow.settings_sha256 == _settings_sha256(settings),
            )
        ).scalar_one_or_none()
        return None if row is None else _record(row)

    def get(self, report_id: int) -> ContaminationReport:
        """The report. Raises NotFoundError."""
        return _record(self._row(report_id))

    def of_dataset(self, dataset_id: int) -> list[ContaminationReport]:
        """All reports of a dataset version, newest first."""
        rows = self._session.execute(
            select(ContaminationReportRow)
            .where(ContaminationReportRow.dataset_id == dataset_id)
            .order_by(ContaminationReportRow.id.desc())
        ).scalars()
        return [_record(row) for row in rows]

    def override(self, report_id: int, *, reason: str, by: str, at: datetime) -> ContaminationReport:
        """Note why its cases may count all the same; a later reason replaces an earlier one."""
        row = self._row(report_id)
        row.override_reason, row.override_by, row.override_at = reason, by, at
        self._session.flush()
        return _record(row)

    def _row(self, report_id: int) -> Any:
        row = self._session.get(ContaminationReportRow, report_id)
        if row is None:
            raise NotFoundError("There is no such contamination report", value=report_id)
        return row
