"""What is asked of the policies, and what they answer."""

from enum import StrEnum

from contracts.record import Record


class ResourceKind(StrEnum):
    """The things that policies speak of; each has a file in `security/policies`."""

    DATASET = "dataset"
    JOB = "job"
    MODEL = "model"
    AB_TEST = "ab_test"
    PIPELINE_RUN = "pipeline_run"
    GENERATION = "generation"
    SUITE = "suite"
    RATING_TASK = "rating_task"
    USER = "user"
    TOKEN = "token"  # noqa: S105 - a kind of thing
    AUDIT = "audit"
    GPU = "gpu"
    DAG = "dag"
    """Told by its name, not by a number."""
    AIRFLOW = "airflow"
    """Airflow itself: its pages, its connections and variables."""


class Ownership(Record):
    """Whose a thing is, as the policies need it."""

    kind: ResourceKind
    resource_id: str
    owner: str = ""
    """Empty: nobody in particular, a pipeline made it."""
    projects: list[str] = []
    """Those of its owner."""
    trainers: list[str] = []
    """Who had the models concerned trained."""


class Visibility(Record):
    """Which rows of a list somebody may see."""

    everything: bool = False
    owners: list[str] = []
    """Rows of these people; the empty name stands for rows of nobody in particular."""
    projects: list[str] = []
    """Rows whose owner belongs to one of these projects."""


EVERYTHING = Visibility(everything=True)
NOTHING = Visibility()
