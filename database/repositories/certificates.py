"""Parity certificates of model versions."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from contracts.parity import ParityCertificate
from database.models import ParityCertificateRow


class CertificateRepository:
    """Rows of parity_certificates."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, certificate: ParityCertificate, deployment_id: int | None) -> int:
        """Keep the certificate with its model version; its number."""
        row = ParityCertificateRow(
            model_id=certificate.model_id,
            deployment_id=deployment_id,
            passed=certificate.passed,
            engine=certificate.engine,
            certificate=certificate.model_dump(mode="json"),
            checked_at=certificate.checked_at,
        )
        self._session.add(row)
        self._session.flush()
        return row.id

    def newest(self, model_id: int) -> ParityCertificate | None:
        """The version's newest certificate."""
        query = (
            select(ParityCertificateRow.certificate)
            .where(ParityCertificateRow.model_id == model_id)
            .order_by(ParityCertificateRow.id.desc())
            .limit(1)
        )
        found = self._session.execute(query).scalar_one_or_none()
        return None if found is None else ParityCertificate.model_validate(found)
