"""What was made of what: a graph from documents to the verdict of an A/B test."""

from pydantic import JsonValue

from contracts.enums import LineageKind
from contracts.record import Record


class LineageNode(Record):
    """One thing that made something, or was made."""

    kind: LineageKind
    key: str
    """Number of its row; of a document its SHA-256, else its path."""
    label: str
    """As people say it: `regulations v1.2`, `job tolls-2026-11`."""
    details: dict[str, JsonValue] = {}
    """A few facts of its own: status, accuracy, verdict."""

    @property
    def node_id(self) -> str:
        """`model:3`, as commands take it."""
        return f"{self.kind.value}:{self.key}"


class LineageEdge(Record):
    """`source` went into `target`. Both are node ids."""

    source: str
    target: str


class LineageGraph(Record):
    """Everything that led to one thing, and everything that came of it."""

    root: str
    nodes: list[LineageNode]
    """In the order of their kinds: what came first stands first."""
    edges: list[LineageEdge]

    def without_detours(self) -> list[LineageEdge]:
        """The edges without those that a longer way says too: model → A/B test where model → deployment → A/B test."""
        after: dict[str, set[str]] = {}
        for edge in self.edges:
            after.setdefault(edge.source, set()).add(edge.target)

        def reachable(start: str) -> set[str]:
            found: set[str] = set()
            waiting = [start]
            while waiting:
                for target in after.get(waiting.pop(), ()):
                    if target not in found:
                        found.add(target)
                        waiting.append(target)
            return found

        beyond = {node: reachable(node) for node in after}
        return [
            edge
            for edge in self.edges
            if not any(edge.target in beyond.get(other, ()) for other in after[edge.source] if other != edge.target)
        ]
