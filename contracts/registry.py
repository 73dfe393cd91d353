"""The two registries side by side: PostgreSQL, which decides, and MLflow, which shows the same."""

from contracts.enums import CataloguePart
from contracts.record import Record


class CatalogueDifference(Record):
    """Something that MLflow shows otherwise than PostgreSQL has it."""

    model_name: str
    version: str
    """PostgreSQL's number; MLflow's where only MLflow has the version; empty for an alias of the name."""
    part: CataloguePart
    key: str
    """Name of the tag or alias; empty for the others."""
    postgresql: str | None
    mlflow: str | None


class FileProblem(Record):
    """Something that lies on the disk otherwise than it was registered."""

    model_id: int
    model_name: str
    version: str
    path: str
    problem: str
    """`missing`, `changed`, `unlisted`, `no manifest`, `base changed`."""


class Verification(Record):
    """What was looked at, and what was not as it should be."""

    versions: int
    files: int
    bytes_read: int
    problems: list[FileProblem]
    differences: list[CatalogueDifference]
    mlflow_error: str | None
    """Why MLflow could not be compared."""

    @property
    def is_whole(self) -> bool:
        """Everything is as it was registered, and both registries agree."""
        return not self.problems and not self.differences and self.mlflow_error is None
