"""Where the command line writes: results on stdout, errors and progress on stderr."""

import sys
import time
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from cli.texts import translate
from contracts.errors import InvalidRequestError, TunewayError

EXIT_INVALID_REQUEST = 2
EXIT_FAILURE = 1


@dataclass
class Screen:
    """A person's terminal, or a log."""

    language: str
    out: Console = field(default_factory=lambda: Console(highlight=False, width=None if sys.stdout.isatty() else 200))
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    _status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.idle()
        if kind is KeyboardInterrupt:
            self.warn("error.interrupted")

    def text(self, key: str, **values: object) -> str:
        """A text of the table in the person's language."""
        return translate(key, self.language, **values)

    def say(self, key: str, **values: object) -> None:
        """One line of progress."""
        self.err.print(escape(self.text(key, **values)), soft_wrap=True)

    def done(self, key: str, **values: object) -> None:
        """One line of progress: something has been reached."""
        self.err.print(f"[green]✓[/green] {escape(self.text(key, **values))}", soft_wrap=True)

    def warn(self, key: str, **values: object) -> None:
        """One line that a person should read."""
        self.err.print(f"[yellow]![/yellow] {escape(self.text(key, **values))}", soft_wrap=True)

    def busy(self, key: str, **values: object) -> None:
        """What is being waited for; shown on a terminal only."""
        if not self.err.is_terminal:
            return
        text = escape(self.text(key, **values))
        if self._status is None:
            self._status = self.err.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def idle(self) -> None:
        """Nothing is being waited for any more."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def show_error(self, error: TunewayError) -> None:
        """The four parts, one a line."""
        self.idle()
        self.err.print(f"[red]✗[/red] {escape(error.what)}", soft_wrap=True)
        parts = (("error.value", error.value), ("error.allowed", error.allowed), ("error.next", error.next_step))
        for key, part in parts:
            if part not in {None, ""}:
                self.err.print(f"  {self.text(key)}: {escape(str(part))}", soft_wrap=True)


def exit_code_of(error: TunewayError) -> int:
    """2: the request is wrong as written; 1: it could not be carried out."""
    return EXIT_INVALID_REQUEST if isinstance(error, InvalidRequestError) else EXIT_FAILURE


def make_screen() -> Screen:
    """The screen in the language of the settings, also when another setting is wrong."""
    from settings import language

    return Screen(language())


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds passed."""
        return time.monotonic() - self._start


def in_units(size: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def flush_output() -> None:
    """Push out what is buffered, before the file descriptors change hands."""
    sys.stdout.flush()
    sys.stderr.flush()
