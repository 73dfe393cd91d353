"""One tree of errors. Each says what failed, the value, what is allowed and what to do next."""

from contracts.record import JsonObject


class TunewayError(Exception):
    """Base of every error this platform raises on purpose.

    `retryable` says whether the same call may succeed later without anybody changing anything.
    """

    code = "internal"
    retryable = False

    def __init__(self, what: str, *, value: object = None, allowed: str = "", next_step: str = "") -> None:
        self.what = what
        self.value = value
        self.allowed = allowed
        self.next_step = next_step
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """The four parts on one line, those that are there."""
        parts = [self.what]
        if self.value is not None:
            parts.append(f"Got: {self.value}")
        if self.allowed:
            parts.append(f"Allowed: {self.allowed}")
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        return ". ".join(part.rstrip(".") for part in parts) + "."

    def as_record(self) -> JsonObject:
        """The error as JSON, for a job's error.json, the API and the database."""
        return {
            "code": self.code,
            "what": self.what,
            "value": None if self.value is None else str(self.value),
            "allowed": self.allowed,
            "next_step": self.next_step,
            "retryable": self.retryable,
        }


class InvalidRequestError(TunewayError):
    """The user's request cannot be carried out as written."""

    code = "invalid_request"


class InvalidDataError(TunewayError):
    """A file's content cannot be used."""

    code = "invalid_data"


class DamagedFileError(InvalidDataError):
    """An encrypted file or value is not what was written, or was not written with this installation's keys."""

    code = "damaged_file"


class KeyUnavailableError(TunewayError):
    """The key of an encrypted file or value is not there: erased, in another place, or its keeper refuses it."""

    code = "key_unavailable"


class TooLargeError(InvalidRequestError):
    """What is sent is more than is taken: bytes, rows, or what it unpacks to."""

    code = "too_large"


class NotFoundError(TunewayError):
    """A named thing does not exist."""

    code = "not_found"


class ConflictError(TunewayError):
    """The request contradicts the present state."""

    code = "conflict"


class UnauthorizedError(TunewayError):
    """The caller did not prove who they are."""

    code = "unauthorized"


class ForbiddenError(TunewayError):
    """The caller is known and may not do this."""

    code = "forbidden"


class InProgressError(ConflictError):
    """The same call is being carried out at this moment; its answer is there a little later."""

    code = "in_progress"
    retryable = True


class TooManyRequestsError(TunewayError):
    """The caller asks more often than is allowed; waiting helps."""

    code = "too_many_requests"
    retryable = True


class QualityError(TunewayError):
    """A dataset version did not pass its checks."""

    code = "quality"


class CapacityError(TunewayError):
    """Disk, memory, ports or GPUs do not suffice."""

    code = "capacity"


class UnavailableError(TunewayError):
    """A service does not answer at the moment; a retry can help."""

    code = "unavailable"
    retryable = True


class SchemaMissingError(UnavailableError):
    """PostgreSQL answers, but the tables of this version are not there."""

    code = "schema_missing"


class JobFailedError(TunewayError):
    """A runner job ended without its result."""

    code = "job_failed"


class JobLostError(JobFailedError):
    """A runner job's processes vanished; starting it again resumes from its last checkpoint."""

    code = "job_lost"
    retryable = True


class JobHungError(JobFailedError):
    """A runner job's process lived but did nothing any more, also after it was started again."""

    code = "job_hung"


class TrainingDivergedError(JobFailedError):
    """The loss or the gradient left what training can go on with; started again, the same would happen."""

    code = "diverged"


class RestartNeededError(TunewayError):
    """The job's process wants to be started once more, with what it has changed; its launcher does it."""

    code = "restart_needed"
    retryable = True


def error_from_record(record: JsonObject) -> TunewayError:
    """The error that `as_record` wrote, as its own class again."""
    classes = {cls.code: cls for cls in _all_subclasses(TunewayError)}
    cls = classes.get(str(record.get("code")), TunewayError)
    return cls(
        str(record.get("what", "Unknown error")),
        value=record.get("value"),
        allowed=str(record.get("allowed") or ""),
        next_step=str(record.get("next_step") or ""),
    )


def _all_subclasses(cls: type[TunewayError]) -> list[type[TunewayError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in _all_subclasses(child))]
