"""Where the things of a lineage stand in a picture: columns from left to right, few crossings, no box on a line.

Sugiyama's steps in small: longest-path layers, long edges cut into pieces by invisible points, then some sweeps that put
each box near the middle of its neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from contracts.lineage import LineageEdge, LineageGraph, LineageNode

GROUPED_FROM = 4
"""So many things of one kind with the same neighbours become one box."""
SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Box:
    """One thing, or several of a kind with the same neighbours."""

    nodes: tuple[LineageNode, ...]
    is_root: bool

    @property
    def node_id(self) -> str:
        """That of the first one."""
        return self.nodes[0].node_id


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes and lines on a grid."""

    places: dict[str, tuple[int, float]]
    """Column and row of each box, by its id."""
    boxes: dict[str, Box]
    lines: list[list[tuple[int, float]]]
    """Each from its source through the columns between to its target."""
    columns: int
    rows: float


@dataclass(slots=True)
class _Layered:
    """Boxes and invisible points, by column."""

    columns: list[list[str]]
    before: dict[str, list[str]] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)


def condense(graph: LineageGraph) -> tuple[dict[str, Box], list[LineageEdge]]:
    """The boxes by id, and the edges between them without detours."""
    edges = graph.without_detours()
    sources: dict[str, set[str]] = {}
    targets: dict[str, set[str]] = {}
    for edge in edges:
        sources.setdefault(edge.target, set()).add(edge.source)
        targets.setdefault(edge.source, set()).add(edge.target)
    alike: dict[tuple[object, ...], list[LineageNode]] = {}
    for node in graph.nodes:
        own = node.node_id
        is_root = own == graph.root
        key = (node.kind, frozenset(sources.get(own, ())), frozenset(targets.get(own, ())), own if is_root else "")
        alike.setdefault(key, []).append(node)
    boxes: dict[str, Box] = {}
    box_of: dict[str, str] = {}
    for nodes in alike.values():
        parts = [tuple(nodes)] if len(nodes) >= GROUPED_FROM else [(node,) for node in nodes]
        for part in parts:
            box = Box(part, part[0].node_id == graph.root)
            boxes[box.node_id] = box
            box_of |= {node.node_id: box.node_id for node in part}
    between = {(box_of[edge.source], box_of[edge.target]) for edge in edges}
    return boxes, [LineageEdge(source=source, target=target) for source, target in sorted(between)]


def lay_out(graph: LineageGraph) -> Layout:
    """Places for every box of the graph."""
    boxes, edges = condense(graph)
    ranks = _ranks(list(boxes), edges)
    layered, routes = _with_points(boxes, edges, ranks)
    for sweep in range(SWEEPS):
        _order(layered, forwards=sweep % 2 == 0)
    rows = _rows(layered)
    places = {box: (ranks[box], rows[box]) for box in boxes}
    column = {name: index for index, names in enumerate(layered.columns) for name in names}
    lines = [[(column[name], rows[name]) for name in route] for route in routes]
    return Layout(places, boxes, lines, len(layered.columns), max(rows.values(), default=0) + 1)


def _ranks(boxes: list[str], edges: list[LineageEdge]) -> dict[str, int]:
    """The column of each box: one behind the last of its sources, and no further from its targets than need be."""
    sources: dict[str, list[str]] = {}
    targets: dict[str, list[str]] = {}
    for edge in edges:
        sources.setdefault(edge.target, []).append(edge.source)
        targets.setdefault(edge.source, []).append(edge.target)
    ranks: dict[str, int] = {}

    def rank(box: str) -> int:
        if box not in ranks:
            ranks[box] = max((rank(source) + 1 for source in sources.get(box, [])), default=0)
        return ranks[box]

    for box in boxes:
        rank(box)
    for box in sorted(boxes, key=lambda box: -ranks[box]):
        if box in targets:
            ranks[box] = min(ranks[target] for target in targets[box]) - 1
    lowest = min(ranks.values(), default=0)
    return {box: value - lowest for box, value in ranks.items()}


def _with_points(
    boxes: Mapping[str, Box], edges: list[LineageEdge], ranks: Mapping[str, int]
) -> tuple[_Layered, list[list[str]]]:
    layered = _Layered([[] for _ in range(max(ranks.values(), default=0) + 1)])
    for box in boxes:
        layered.columns[ranks[box]].append(box)
    routes = []
    for edge in edges:
        route = [edge.source]
        for column in range(ranks[edge.source] + 1, ranks[edge.target]):
            point = f"{edge.source}>{edge.target}>{column}"
            layered.columns[column].append(point)
            route.append(point)
        route.append(edge.target)
        routes.append(route)
        for one, other in pairwise(route):
            layered.after.setdefault(one, []).append(other)
            layered.before.setdefault(other, []).append(one)
    return layered, routes


def _order(layered: _Layered, *, forwards: bool) -> None:
    columns = layered.columns if forwards else layered.columns[::-1]
    neighbours = layered.before if forwards else layered.after
    for fixed, moved in pairwise(columns):
        position = {name: index for index, name in enumerate(fixed)}
        present = {name: float(index) for index, name in enumerate(moved)}

        def middle(name: str, position: dict[str, int] = position, present: dict[str, float] = present) -> float:
            around = [position[other] for other in neighbours.get(name, []) if other in position]
            return sum(around) / len(around) if around else present[name]

        moved.sort(key=middle)


def _rows(layered: _Layered) -> dict[str, float]:
    """Each column centred, then drawn towards its neighbours as far as the order allows."""
    tallest = max(map(len, layered.columns), default=0)
    rows = {
        name: index + (tallest - len(column)) / 2 for column in layered.columns for index, name in enumerate(column)
    }
    for _ in range(SWEEPS):
        for column in layered.columns:
            for index, name in enumerate(column):
                around = [rows[other] for other in (*layered.before.get(name, ()), *layered.after.get(name, ()))]
                wanted = sum(around) / len(around) if around else rows[name]
                lowest = rows[column[index - 1]] + 1 if index else 0.0
                highest = rows[column[index + 1]] - 1 if index + 1 < len(column) else tallest - 1.0
                rows[name] = min(max(wanted, lowest), max(highest, lowest))
    return rows
