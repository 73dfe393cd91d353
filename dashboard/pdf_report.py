"""A report as a PDF: headings, text, numbers, tables and charts on A4 pages with their numbers.

Everything stands in the font that comes with it, embedded as outlines: Korean is read on a computer without a Korean font, and
can be searched and copied. A page says what it wants written, in the reader's language; where it stands is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from dashboard.formats import moment
from dashboard.theme import BLUE, ORANGE, RUN_COLOURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from dashboard.texts import Words

FONT = Path(__file__).with_name("fonts") / "NotoSansKR.otf"
WIDTH, HEIGHT = 595.0, 842.0
"""A4, in points."""
MARGIN, BOTTOM = 48.0, 60.0
INK, QUIET, LINE = "#1c2128", "#5c636e", "#c9ced6"
ABSENT = "□"
"""For a character that the font lacks, such as a Chinese one."""
MOST_LINES = 400
"""Of a table: a report is read, a file of values is downloaded apart."""
LABEL_WIDTH = 170.0
"""What a chart's line may be called; a longer name is cut."""
DASHES = ("-", "--", ":", "-.")

_drawing = Lock()
"""matplotlib keeps fonts and pages in places that all threads share."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Range:
    """A value with its interval, a line of a chart of intervals."""

    label: str
    value: float
    lower: float
    upper: float


class PdfReport:
    """Written from top to bottom; a new page begins where the last one is full."""

    def __init__(self, title: str, words: Words, made_at: datetime, *, subtitle: str = "") -> None:
        """Begin with the title; `made_at` stands below it and on each page."""
        self._title, self._words, self._made_at = title, words, made_at
        self._pages: list[Any] = []
        self._y = 0.0
        with _drawing:
            self._turn()
            self._lines(title, 20, INK, 27)
            if subtitle:
                self._lines(subtitle, 11, QUIET, 16)
            self._lines(words("pdf_report.made", at=moment(made_at, words.language)), 9, QUIET, 14)
            self._y -= 6

    def heading(self, text: str) -> None:
        """Begin a part; it never stands alone at a page's end."""
        with _drawing:
            self._make_room(90)
            self._y -= 14
            self._lines(text, 14, INK, 20)
            self._rule(self._y + 4)
            self._y -= 8

    def text(self, text: str, *, quiet: bool = False) -> None:
        """A paragraph; `quiet` for a remark."""
        with _drawing:
            self._lines(text, 8.5 if quiet else 10, QUIET if quiet else INK, 13 if quiet else 15.5)
            self._y -= 5

    def points(self, lines: Iterable[str]) -> None:
        """A list."""
        with _drawing:
            for line in lines:
                self._lines(line, 10, INK, 15.5, indent=12, mark="•")
            self._y -= 5

    def figures(self, items: Sequence[tuple[str, str] | tuple[str, str, str]]) -> None:
        """Labelled numbers, three beside each other; a third part is a remark below the number."""
        width = (WIDTH - 2 * MARGIN) / 3
        with _drawing:
            for start in range(0, len(items), 3):
                row = items[start : start + 3]
                cells = [(wrap(item[1], 11.5, width - 18), wrap(" ".join(item[2:]), 8, width - 18)) for item in row]
                height = 15 + max(15.5 * len(value) + 11 * len(remark) for value, remark in cells) + 8
                self._make_room(height)
                for column, (item, (value, remark)) in enumerate(zip(row, cells, strict=True)):
                    left = MARGIN + column * width
                    self._line((left, left), (self._y, self._y - height + 10), LINE, 1.2)
                    self._write(left + 8, self._y - 9, item[0], 8.5, QUIET)
                    for place, line in enumerate(value):
                        self._write(left + 8, self._y - 24 - 15.5 * place, line, 11.5, INK)
                    for place, line in enumerate(remark):
                        self._write(left + 8, self._y - 22 - 15.5 * len(value) - 11 * place, line, 8, QUIET)
                self._y -= height
            self._y -= 4

    def table(self, header: Sequence[str], lines: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> None:
        """A table; its header stands on each page again, a long one is cut and says so."""
        with _drawing:
            widths = _column_widths(header, lines[:MOST_LINES])
            self._make_room(60)
            self._table_line(header, widths, numeric, QUIET)
            for line in lines[:MOST_LINES]:
                if self._y - self._line_height(line, widths) < BOTTOM:
                    self._turn()
                    self._table_line(header, widths, numeric, QUIET)
                self._table_line(line, widths, numeric, INK)
            self._y -= 6
            if len(lines) > MOST_LINES:
                self._lines(self._words("pdf_report.cut", shown=MOST_LINES, total=len(lines)), 8.5, QUIET, 13)
            self._y -= 4

    def line_chart(
        self, title: str, series: Sequence[Series], x_axis: str, y_axis: str, *, log: bool = False, height: float = 190
    ) -> None:
        """Lines over numbers, told apart by colour and by dash."""

        def draw(axes: Any) -> None:
            for place, line in enumerate(series):
                axes.plot(
                    [x for x, _ in line.points],
                    [y for _, y in line.points],
                    label=_known(line.label),
                    color=RUN_COLOURS[place % len(RUN_COLOURS)],
                    linestyle=DASHES[place % len(DASHES)],
                    linewidth=1.3,
                    marker="o" if len(line.points) == 1 else None,
                )
            if log:
                axes.set_yscale("log")

        self.chart(title, draw, x_axis=x_axis, y_axis=y_axis, height=height, legend=len(series) > 1)

    def bars(self, title: str, items: Sequence[tuple[str, float]], axis: str, *, colour: str = BLUE) -> None:
        """Lying bars with their numbers."""

        def draw(axes: Any) -> None:
            shown = axes.barh(range(len(items)), [value for _, value in items], color=colour, height=0.62)
            _name_lines(axes, [label for label, _ in items])
            axes.bar_label(shown, [f"{value:,g}" for _, value in items], padding=3, fontproperties=_font(8), color=INK)
            axes.invert_yaxis()
            axes.margins(x=0.12)
            axes.grid(False)

        self.chart(title, draw, x_axis=axis, height=52 + 17 * max(1, len(items)))

    def histogram(self, title: str, edges: Sequence[float], counts: Sequence[int], x_axis: str, y_axis: str) -> None:
        """How many values lie between each two edges."""
        self.chart(
            title,
            lambda axes: axes.stairs(counts, edges, fill=True, color=BLUE),
            x_axis=x_axis,
            y_axis=y_axis,
            height=170,
        )

    def ranges(self, title: str, items: Sequence[Range], axis: str, *, mark: float | None = None) -> None:
        """Values with their intervals below each other; a dashed line at what they are held against."""

        def draw(axes: Any) -> None:
            for place, item in enumerate(items):
                axes.plot([item.lower, item.upper], [place, place], color=BLUE, linewidth=2)
                axes.plot([item.value], [place], color=BLUE, marker="o", markersize=5)
            _name_lines(axes, [item.label for item in items])
            axes.set_ylim(len(items) - 0.5, -0.5)
            if mark is not None:
                axes.axvline(mark, color=ORANGE, linestyle="--", linewidth=1.1)

        self.chart(title, draw, x_axis=axis, height=58 + 20 * max(1, len(items)))

    def chart(
        self,
        title: str,
        draw: Callable[[Any], object],
        *,
        x_axis: str = "",
        y_axis: str = "",
        height: float = 190,
        legend: bool = False,
    ) -> None:
        """What `draw` draws onto matplotlib axes, with the looks of all charts."""
        with _drawing:
            self._make_room(height + 24)
            self._lines(title, 10, INK, 16)
            page, room = self._pages[-1], WIDTH - 2 * MARGIN
            axes = page.add_axes((MARGIN / WIDTH, (self._y - height) / HEIGHT, room / WIDTH, height / HEIGHT))
            draw(axes)
            axes.set_xlabel(_known(x_axis), fontproperties=_font(8.5), color=QUIET, parse_math=False)
            axes.set_ylabel(_known(y_axis), fontproperties=_font(8.5), color=QUIET, parse_math=False)
            axes.tick_params(which="both", color=LINE, labelcolor=INK, labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
            axes.spines[["left", "bottom"]].set_color(LINE)
            axes.set_axisbelow(True)
            if legend:
                for text in axes.legend(prop=_font(8), frameon=False, loc="best").get_texts():
                    text.set_parse_math(False)
            _fit(axes, page, height)
            self._y -= height + 10

    def render(self) -> bytes:
        """The file."""
        from matplotlib.backends.backend_pdf import PdfPages

        with _drawing:
            told = self._words("pdf_report.foot", title=self._title, at=moment(self._made_at, self._words.language))
            content = BytesIO()
            facts = {"Title": self._title, "Creator": "Tuneway", "Producer": None, "CreationDate": self._made_at}
            with PdfPages(content, metadata=facts) as file:
                for place, page in enumerate(self._pages, start=1):
                    _put(page, MARGIN, 34, _cut(told, 8, WIDTH - 2 * MARGIN - 60), 8, QUIET)
                    _put(page, WIDTH - MARGIN, 34, f"{place} / {len(self._pages)}", 8, QUIET, ha="right")
                    file.savefig(page)
            return content.getvalue()

    # Places

    def _turn(self) -> None:
        from matplotlib.figure import Figure

        self._pages.append(Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72))
        self._y = HEIGHT - MARGIN

    def _make_room(self, height: float) -> None:
        if self._y - height < BOTTOM:
            self._turn()

    def _lines(self, text: str, size: float, colour: str, leading: float, *, indent: float = 0, mark: str = "") -> None:
        for place, line in enumerate(wrap(text, size, WIDTH - 2 * MARGIN - indent)):
            self._make_room(leading)
            if mark and not place:
                self._write(MARGIN, self._y - size, mark, size, QUIET)
            self._write(MARGIN + indent, self._y - size, line, size, colour)
            self._y -= leading

    def _write(self, x: float, y: float, text: str, size: float, colour: str, **other: Any) -> None:
        _put(self._pages[-1], x, y, text, size, colour, **other)

    def _rule(self, y: float) -> None:
        self._line((MARGIN, WIDTH - MARGIN), (y, y), LINE, 0.6)

    def _line(self, xs: tuple[float, float], ys: tuple[float, float], colour: str, width: float) -> None:
        from matplotlib.lines import Line2D

        page = self._pages[-1]
        page.add_artist(
            Line2D(
                [x / WIDTH for x in xs], [y / HEIGHT for y in ys], color=colour, linewidth=width, solid_capstyle="butt"
            )
        )

    def _line_height(self, line: Sequence[str], widths: Sequence[float]) -> float:
        wrapped = (wrap(cell, 8.5, width - 8) for cell, width in zip(line, widths, strict=True))
        return 12 * max(1, *(len(cell) for cell in wrapped)) + 5

    def _table_line(self, line: Sequence[str], widths: Sequence[float], numeric: Sequence[int], colour: str) -> None:
        left = MARGIN
        for column, (cell, width) in enumerate(zip(line, widths, strict=True)):
            for place, text in enumerate(wrap(cell, 8.5, width - 8)):
                y = self._y - 10 - 12 * place
                if column in numeric:
                    self._write(left + width - 8, y, text, 8.5, colour, ha="right")
                else:
                    self._write(left, y, text, 8.5, colour)
            left += width
        self._y -= self._line_height(line, widths)
        self._rule(self._y)


def _name_lines(axes: Any, names: Sequence[str]) -> None:
    shown = [_cut(_known(name), 8, LABEL_WIDTH) for name in names]
    axes.set_yticks(range(len(names)), shown, fontproperties=_font(8), parse_math=False)


def _fit(axes: Any, page: Any, height: float) -> None:
    """Draw the axes smaller, so that their labels stand within the room they were given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(page).get_renderer()
    box, outer = axes.get_window_extent(renderer), axes.get_tightbbox(renderer)
    left, below = box.x0 - outer.x0, box.y0 - outer.y0
    right, above = max(0.0, outer.x1 - box.x1), max(0.0, outer.y1 - box.y1)
    x0, y0 = MARGIN + left, axes.get_position().y0 * HEIGHT + below
    axes.set_position(
        (
            x0 / WIDTH,
            y0 / HEIGHT,
            (WIDTH - 2 * MARGIN - left - right) / WIDTH,
            (height - below - above) / HEIGHT,
        )
    )


def _put(page: Any, x: float, y: float, text: str, size: float, colour: str, **other: Any) -> None:
    page.text(x / WIDTH, y / HEIGHT, _known(text), fontproperties=_font(size), color=colour, parse_math=False, **other)


# Letters


@cache
def _font(size: float) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=FONT, size=size)


@cache
def _face() -> Any:
    from matplotlib.ft2font import FT2Font

    face = FT2Font(FONT)
    face.set_size(100, 72)
    return face


@cache
def _letters() -> frozenset[int]:
    return frozenset(_face().get_charmap())


@cache
def _advance(letter: str) -> float:
    """How wide the letter is, as a share of the size."""
    from matplotlib.ft2font import LoadFlags

    return float(_face().load_char(ord(letter), flags=LoadFlags.NO_HINTING).linearHoriAdvance) / 65536 / 100


def _known(text: str) -> str:
    """The text with what the font can write; a line's end and a tab as spaces."""
    return "".join(
        letter if ord(letter) in _letters() else " " if letter.isspace() else ABSENT
        for letter in text
        if letter.isprintable() or letter.isspace()
    )


def width(text: str, size: float) -> float:
    """In points."""
    return size * sum(_advance(letter) for letter in _known(text))


def wrap(text: str, size: float, room: float) -> list[str]:
    """The text in lines that are at most `room` points wide; a word that is wider than a line is broken."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if width(longer, size) <= room:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while width(line, size) > room and len(line) > 1:
                fitting = len(_cut(line, size, room, ellipsis=""))
                lines.append(line[: max(1, fitting)])
                line = line[max(1, fitting) :]
        lines.append(line)
    return lines


def _cut(text: str, size: float, room: float, *, ellipsis: str = "…") -> str:
    if width(text, size) <= room:
        return text
    taken, at = size * width(ellipsis, 1), 0
    while at < len(text) and taken + width(text[at], size) <= room:
        taken += width(text[at], size)
        at += 1
    return text[:at] + ellipsis


def _column_widths(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[float]:
    """As wide as their widest cells; where that is too much, the widest columns give way and break their lines."""
    room = WIDTH - 2 * MARGIN
    wanted = [
        max(width(text, 8.5) for cell in (header[column], *(line[column] for line in lines)) for text in cell.splitlines() or [""])
        + 14
        for column in range(len(header))
    ]  # fmt: skip
    if sum(wanted) <= room:
        spare = (room - sum(wanted)) / len(wanted)
        return [width + spare for width in wanted]
    most = room
    # the largest width that no column may exceed: found by halving, as exact as a point
    least = 0.0
    while most - least > 0.5:
        middle = (least + most) / 2
        least, most = (middle, most) if sum(min(width, middle) for width in wanted) <= room else (least, middle)
    return [min(width, least) for width in wanted]
