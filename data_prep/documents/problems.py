"""What can be wrong with a document, in words that tell its owner what to do."""

from contracts.errors import InvalidDataError


def broken(name: str, kind: str, reason: object) -> InvalidDataError:
    """The file is damaged, or not of the kind that it looks like."""
    return InvalidDataError(
        f"The {kind} cannot be read",
        value=f"{name}: {str(reason)[:200]}",
        allowed=f"a whole {kind}",
        next_step="open it in the program that it was made with, save it again, and try once more",
    )


def needs_password(name: str, kind: str) -> InvalidDataError:
    """The file is encrypted."""
    return InvalidDataError(
        f"The {kind} is protected by a password",
        value=name,
        allowed="documents without a password",
        next_step="open it, save it without the password, and try once more",
    )


def has_no_text(name: str) -> InvalidDataError:
    """There is nothing to read."""
    return InvalidDataError(
        "The document holds no text",
        value=name,
        allowed="a document with text",
        next_step="check that the right file was exported; leave it out if it is meant to be empty",
    )


def too_large(name: str, what: str, size: int, allowed: int) -> InvalidDataError:
    """The file, or what it unpacks to, is beyond what is read."""
    return InvalidDataError(
        f"The document is too large: {what}",
        value=f"{name}: {size / (1 << 20):.0f} MiB",
        allowed=f"up to {allowed / (1 << 20):.0f} MiB",
        next_step="split it, or take out its pictures",
    )
