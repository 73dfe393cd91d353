"""How every process of the platform begins to log."""

from typing import TextIO

from settings.model import log_format
from storage.log_lines import log_to_stream


def start_logging(service: str, *, stream: TextIO | None = None, **about: str) -> None:
    """Log in the format of the settings; `about` stands in every JSON line of this process."""
    log_to_stream(log_format(), service, stream=stream, **about)
