"""A lineage as a picture (SVG), or as text for Graphviz."""

from collections.abc import Iterator
from html import escape
from itertools import pairwise

from contracts.enums import LineageKind
from contracts.lineage import LineageGraph, LineageNode
from contracts.words import LINEAGE_COUNTS, LINEAGE_KINDS, LINEAGE_STATES
from registry.lineage_layout import Box, condense, lay_out

WIDTH, HEIGHT, BETWEEN_COLUMNS, BETWEEN_ROWS, MARGIN = 180, 48, 36, 16, 12
LONGEST_LABEL = 22
FONT = "'Noto Sans KR', 'Apple SD Gothic Neo', 'Malgun Gothic', 'NanumGothic', sans-serif"
COLOURS = {
    LineageKind.DOCUMENT: "#8d6e63",
    LineageKind.DATASET: "#2e7d32",
    LineageKind.JOB: "#1565c0",
    LineageKind.CHECKPOINT: "#5c8fc7",
    LineageKind.MODEL: "#6a1b9a",
    LineageKind.SUITE: "#7a6a00",
    LineageKind.EVALUATION: "#ad5a00",
    LineageKind.RESULT: "#ad5a00",
    LineageKind.DEPLOYMENT: "#00796b",
    LineageKind.EXPERIMENT: "#c2185b",
    LineageKind.VERDICT: "#c2185b",
}


def draw_svg(graph: LineageGraph, language: str) -> str:
    """The picture: what came first on the left. Readable on light and dark pages alike."""
    layout = lay_out(graph)
    width = layout.columns * (WIDTH + BETWEEN_COLUMNS) - BETWEEN_COLUMNS + 2 * MARGIN
    height = layout.rows * (HEIGHT + BETWEEN_ROWS) - BETWEEN_ROWS + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:.0f}" width="{width:g}" '
        f'height="{height:.0f}" role="img" font-family="{FONT}">',
        f"<title>{escape(graph.root)}</title>",
        f'<rect width="{width:g}" height="{height:.0f}" fill="#ffffff" rx="6"/>',
        *(_line(line) for line in layout.lines),
        *(_box(box, *layout.places[name], language) for name, box in layout.boxes.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def draw_dot(graph: LineageGraph, language: str) -> str:
    """The graph in Graphviz's language."""
    boxes, edges = condense(graph)

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = ["digraph lineage {", "  rankdir=LR;", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    for name, box in boxes.items():
        label = "\n".join((_kind(box, language), label_of(box, language), facts_of(box, language)))
        bold = ", penwidth=3" if box.is_root else ""
        escaped = quoted(label.strip()).replace("\n", "\\n")
        lines.append(f'  {quoted(name)} [label={escaped}, color="{COLOURS[box.nodes[0].kind]}"{bold}];')
    lines += [f"  {quoted(edge.source)} -> {quoted(edge.target)};" for edge in edges]
    return "\n".join([*lines, "}"]) + "\n"


def label_of(box: Box, language: str) -> str:
    """The name of the thing, or how many of them the box stands for."""
    first = _short(box.nodes[0])
    if len(box.nodes) == 1:
        return first
    more = len(box.nodes) - 1
    return f"{first} 외 {more:,}건" if language == "ko" else f"{first} and {more:,} more"


def facts_of(box: Box, language: str) -> str:
    """What is told of a single thing beside its name."""
    return "" if len(box.nodes) > 1 else " · ".join(_facts(box.nodes[0], language))


def _facts(node: LineageNode, language: str) -> Iterator[str]:
    details = node.details
    for name, wording in LINEAGE_COUNTS.items():
        value = details.get(name)
        if isinstance(value, int) and value:  # a public benchmark has no cases of its own
            yield wording.of(language).format(n=f"{value:,}")
    accuracy, score = details.get("accuracy"), details.get("score")
    if isinstance(accuracy, float | int):
        yield f"{accuracy * 100:.1f} % (n {details.get('n', '?')})"
    if isinstance(score, float | int):
        yield f"{details.get('score_name')} {score:.4g} (n {details.get('n', '?')})"
    for name in ("verdict", "status", "method", "format", "backend"):
        value = details.get(name)
        if isinstance(value, str):
            yield LINEAGE_STATES[value].of(language) if value in LINEAGE_STATES else value


def _short(node: LineageNode) -> str:
    """A document's file name; anything else as it is called."""
    return node.label.rpartition("/")[2] or node.label if node.kind is LineageKind.DOCUMENT else node.label


def _kind(box: Box, language: str) -> str:
    node = box.nodes[0]
    kind = LINEAGE_KINDS[node.kind].of(language)
    return kind if len(box.nodes) > 1 or node.kind is LineageKind.DOCUMENT else f"{kind} {node.key}"


def _corner(column: int, row: float) -> tuple[float, float]:
    return MARGIN + column * (WIDTH + BETWEEN_COLUMNS), MARGIN + row * (HEIGHT + BETWEEN_ROWS)


def _line(points: list[tuple[int, float]]) -> str:
    """A curve from the right side of a box to the left side of another one; level where it passes a column."""
    corners = [_corner(*point) for point in points]
    x, y = corners[0]
    path = [f"M{x + WIDTH:g},{y + HEIGHT / 2:.1f}"]
    for index, ((left, upper), (right, lower)) in enumerate(pairwise(corners)):
        start, end, half = left + WIDTH, right, BETWEEN_COLUMNS / 2
        path.append(
            f"C{start + half:g},{upper + HEIGHT / 2:.1f} {end - half:g},{lower + HEIGHT / 2:.1f} "
            f"{end:g},{lower + HEIGHT / 2:.1f}"
        )
        if index < len(corners) - 2:
            path.append(f"H{right + WIDTH:g}")
    return f'<path d="{"".join(path)}" fill="none" stroke="#9e9e9e" stroke-width="1.4"/>'


def _box(box: Box, column: int, row: float, language: str) -> str:
    x, y = _corner(column, row)
    colour = COLOURS[box.nodes[0].kind]
    label, facts = label_of(box, language), facts_of(box, language)
    shown = label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
    head = _kind(box, language)
    if facts and len(head) + len(facts) < LONGEST_LABEL + 6:
        head = f"{head} · {facts}"
    stroke = 3 if box.is_root else 1.2
    full = escape(f"{_kind(box, language)}: {label}" + (f" ({facts})" if facts else ""))
    return (
        f'<g><title>{full}</title><rect x="{x:g}" y="{y:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="{colour}14" stroke="{colour}" stroke-width="{stroke}"/>'
        f'<text x="{x + 10:g}" y="{y + 18:.1f}" font-size="11" fill="{colour}">{escape(head)}</text>'
        f'<text x="{x + 10:g}" y="{y + 36:.1f}" font-size="13" fill="#212121">{escape(shown)}</text></g>'
    )
