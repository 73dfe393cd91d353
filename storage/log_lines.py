"""Lines of the platform's logs: for people, or as JSON for a site that collects them, with what each is about.

JSON lines have `time` (UTC, ISO 8601), `level`, `logger`, `message`, `service`, and where they are known `request_id` (a call of
the admin API and what it caused), `run_id` (Airflow's, as dag/run/task/try), `job` and `attempt`; `exception` after a traceback.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TextIO

TEXT, JSON = "text", "json"
REQUEST_ID_HEADER = "X-Request-Id"
REQUEST_ID_PATTERN = r"[A-Za-z0-9._-]{8,64}"

_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=MappingProxyType({}))


@contextmanager
def log_context(**about: str) -> Iterator[None]:
    """Everything that is logged within is about this too; empty values are left out."""
    token = _context.set({**_context.get(), **{name: value for name, value in about.items() if value}})
    try:
        yield
    finally:
        _context.reset(token)


def request_id() -> str | None:
    """Of the call that is being answered, if there is one."""
    return _context.get().get("request_id")


class _AboutFilter(logging.Filter):
    """Hands what the line is about to the formatters, in the thread and task where it was logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.about = _context.get()
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, service: str, about: dict[str, str]) -> None:
        super().__init__()
        self._fixed = {"service": service, **{name: value for name, value in about.items() if value}}

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._fixed,
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, logger, level and message; the id of a request behind them where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(name)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without its traceback."""
        line = super().formatMessage(record)
        about: Mapping[str, str] = getattr(record, "about", {})
        return f"{line} [{about['request_id']}]" if "request_id" in about else line


def log_to_stream(log_format: str, service: str, *, stream: TextIO | None = None, **about: str) -> None:
    """Log from INFO on, to standard error unless said otherwise; `about` stands in every JSON line of this process."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(service, about) if log_format == JSON else TextFormatter())
    handler.addFilter(_AboutFilter())
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)


def readable(line: str) -> str:
    """A JSON line as a person reads it; any other line as it is."""
    if not line.startswith('{"time":'):
        return line
    try:
        entry = json.loads(line)
        moment = datetime.fromisoformat(entry["time"]).astimezone()
        text = f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d} {entry['logger']} {entry['level']} "
        text += str(entry["message"])
    except (ValueError, KeyError, TypeError):
        return line
    return f"{text}\n{entry['exception']}" if "exception" in entry else text


class ReadableWriter:
    """Writes parts of a log to a stream, JSON lines as a person reads them. A line that is not whole waits only if it may be JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begun = ""

    def write(self, text: str) -> None:
        """Take the next part."""
        *whole, rest = (self._begun + text).split("\n")
        self._out.write("".join(f"{readable(line)}\n" for line in whole))
        self._begun = rest if rest.startswith("{") else ""
        if not self._begun:
            self._out.write(rest)

    def flush(self) -> None:
        """Show what is there."""
        self._out.flush()
