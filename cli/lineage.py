"""`tuneway lineage`: what was made of what, as a tree, as JSON, or as a picture."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answers import print_json, told
from cli.texts import translate
from settings import language

if TYPE_CHECKING:
    from rich.tree import Tree

    from cli.screen import Screen
    from contracts.lineage import LineageEdge, LineageGraph
    from registry.lineage_layout import Box


class Format(StrEnum):
    """How the lineage is shown."""

    TEXT = "text"
    SVG = "svg"
    DOT = "dot"


class Direction(StrEnum):
    """Which part of the lineage is shown."""

    BOTH = "both"
    UP = "up"
    DOWN = "down"


def lineage(
    thing: Annotated[str, typer.Argument(metavar="ID", help=translate("lineage.arg_thing", language()))],
    direction: Annotated[Direction, typer.Option(help=translate("lineage.opt_direction", language()))] = Direction.BOTH,
    in_format: Annotated[
        Format, typer.Option("--format", help=translate("lineage.opt_format", language()))
    ] = Format.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help=translate("help.json", language()))] = False,
) -> None:
    """Everything that led to a thing, and everything that came of it."""
    from registry.lineage_picture import draw_dot, draw_svg
    from stages.lineage import trace

    with told(as_json) as (screen, services):
        graph = trace(thing, services, up=direction is not Direction.DOWN, down=direction is not Direction.UP)
        if as_json:
            print_json(graph.model_dump(mode="json"))
        elif in_format is Format.SVG:
            sys.stdout.write(draw_svg(graph, screen.language))
        elif in_format is Format.DOT:
            sys.stdout.write(draw_dot(graph, screen.language))
        else:
            _show(graph, screen)


def _show(graph: LineageGraph, screen: Screen) -> None:
    """Two trees from the thing: what led to it, and what came of it."""
    from rich.tree import Tree

    from registry.lineage_layout import condense

    boxes, edges = condense(graph)
    for key, backwards in (("lineage.up", True), ("lineage.down", False)):
        tree = Tree(f"[dim]{screen.text(key)}[/dim]")
        root = next(box for box in boxes.values() if box.is_root)
        _grow(tree.add(_told(root, screen)), root.node_id, boxes, edges, screen, backwards=backwards)
        if tree.children[0].children:
            screen.out.print(tree)
    if not edges:
        screen.say("lineage.alone")


def _grow(
    tree: Tree, name: str, boxes: dict[str, Box], edges: list[LineageEdge], screen: Screen, *, backwards: bool
) -> None:
    for edge in edges:
        here, there = (edge.target, edge.source) if backwards else (edge.source, edge.target)
        if here == name:
            _grow(tree.add(_told(boxes[there], screen)), there, boxes, edges, screen, backwards=backwards)


def _told(box: Box, screen: Screen) -> str:
    from rich.markup import escape

    from contracts.words import LINEAGE_KINDS
    from registry.lineage_picture import facts_of, label_of

    node = box.nodes[0]
    kind = LINEAGE_KINDS[node.kind].of(screen.language)
    own = "" if len(box.nodes) > 1 else f" [dim]{escape(node.node_id[:24])}[/dim]"
    facts = facts_of(box, screen.language)
    told_facts = f" [dim]({escape(facts)})[/dim]" if facts else ""
    return f"{kind} [bold]{escape(label_of(box, screen.language))}[/bold]{own}{told_facts}"
