"""What the platform tells of a person's data: where it is, and that it was deleted."""

from enum import StrEnum

from pydantic import AwareDatetime

from contracts.enums import PersonalDataKind
from contracts.record import Record


class StoredKind(StrEnum):
    """What kind of thing holds rows of a person."""

    IMPORT = "import"
    """Imported rows, before masking."""
    QUARANTINE = "quarantine"
    """Broken rows of an import."""
    VERSION = "version"
    """A dataset version."""
    PREFERENCES = "preferences"
    """Pairs of answers."""
    GENERATION = "generation"
    """Samples that a model wrote from documents, and its answers."""
    REVIEW = "review"
    """Samples that wait for a person's look."""
    TRAFFIC = "traffic"
    """Questions, answers and comments of the chat."""
    UPLOAD = "upload"
    """A file that arrived and is not a dataset yet."""
    TEST_CASE = "test_case"
    """Cases of test suites."""
    EVALUATION = "evaluation"
    """What models answered to them, and what was found of them in training rows."""
    RATING = "rating"
    """Answers put up for experts and judges, and what these wrote."""


class IdentifierTag(Record):
    """An identifier of the person, without its value."""

    kind: PersonalDataKind
    tag: str
    """Keyed hash: who has the installation's key can check a value against it, nobody can read it back."""


class SubjectPlace(Record):
    """A place that holds rows of the person."""

    kind: StoredKind
    name: str
    """Import id, `<dataset>@<commit>`, upload's id, path below the data folder, or table (with the row's id)."""
    certain: int
    """Rows with something that belongs to the person alone."""
    shared: int
    """Rows that show only what others may have too, such as a name."""
    training: int = 0
    """Of a version: how many of these rows, certain and shared, are on the training side."""


class AffectedModel(Record):
    """A model that learned from a version which holds rows of the person."""

    model_id: int
    label: str
    """Name and version."""
    through: list[str]
    """`<dataset>@<commit>`."""


class SubjectReport(Record):
    """Where a person is."""

    identifiers: list[IdentifierTag]
    places: list[SubjectPlace]
    models: list[AffectedModel]
    source_files: list[str]
    """Files outside the platform's care from which these rows were imported, and that are still there."""
    rows_read: int
    unreadable: list[str] = []
    """Places whose key was erased: nobody can read them."""

    @property
    def certain(self) -> int:
        """Rows of all places."""
        return sum(place.certain for place in self.places)

    @property
    def shared(self) -> int:
        """Rows of all places."""
        return sum(place.shared for place in self.places)


class DeletionCertificate(Record):
    """What was deleted, signed with the installation's audit key."""

    certificate_id: str
    identifiers: list[IdentifierTag]
    reason: str
    actor: str
    started_at: AwareDatetime
    finished_at: AwareDatetime
    with_shared: bool
    """Rows that show only what others may have too were deleted as well."""
    erased: list[SubjectPlace]
    """Rows that were deleted, by place."""
    kept_shared: int
    """Rows that show only such identifiers, and stay."""
    models: list[AffectedModel]
    """Models that learned from these rows; a model does not forget by this."""
    source_files: list[str]
    """Files that the site has to delete itself."""
    key_id: str
    """SHA-256 of the public key, its first 16 hexadecimal digits."""
    signature: str = ""
    """Base64, Ed25519."""
