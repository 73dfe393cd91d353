"""The real services of this installation, opened when first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from contracts.identity import PLATFORM_USER
from settings import Settings, load_settings
from settings.encryption import use_encryption

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from database.unit_of_work import UnitOfWork
    from stages.airflow_client import AirflowClient
    from stages.recorded_text import RecordedText

AIRFLOW_SECONDS = 3.0
"""Whoever asks the API to start something has an answer within 5 s, also while Airflow is away."""


@dataclass(frozen=True)
class Services:
    """What a stage may use beside its request."""

    settings: Settings
    started_by: str = ""
    """Who started the run that these services are for: a user of Airflow, whose account here has the same name."""

    def __post_init__(self) -> None:
        """From now on this process opens what the installation encrypted."""
        use_encryption(self.settings)

    @cached_property
    def recorded_text(self) -> RecordedText:
        """Seals and opens what users asked and were answered."""
        from stages.recorded_text import RecordedText

        return RecordedText(self.settings)

    @cached_property
    def airflow(self) -> AirflowClient:
        """Airflow, as the platform's own user. Raises NotFoundError before the first `tuneway up`."""
        from settings.secrets import SecretName, read_secret
        from stages.airflow_client import AirflowClient

        return AirflowClient(
            self.settings.resolved_airflow_url,
            username=PLATFORM_USER,
            password=read_secret(self.settings.secrets_dir, SecretName.AIRFLOW_PLATFORM_PASSWORD),
            timeout_seconds=AIRFLOW_SECONDS,
        )

    def unit_of_work(self, *, holding: bool = False) -> AbstractContextManager[UnitOfWork]:
        """A transaction: committed at the end of the block, rolled back on an error.

        `holding`: other transactions begin and end within the block.
        """
        from database.unit_of_work import unit_of_work

        return unit_of_work(self.settings.resolved_database_url, holding=holding)


def open_services(settings: Settings | None = None, *, started_by: str = "") -> Services:
    """Services for the given settings, or for those of the environment."""
    return Services(settings or load_settings(), started_by)
