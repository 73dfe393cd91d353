"""The picture of where a thing comes from and what came of it."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from dashboard import parts
from registry.lineage_picture import draw_svg

if TYPE_CHECKING:
    from contracts.lineage import LineageGraph
    from dashboard.texts import Words


def show_picture(graph: LineageGraph, told: str, words: Words) -> None:
    """The graph, which scrolls where the window is narrower than it can be read; `told` says what it is."""
    picture = b64encode(draw_svg(graph, words.language).encode()).decode()
    parts.html(
        f'<div class="tw-scroll" tabindex="0" role="group" aria-label="{escape(told)}">'
        f'<img src="data:image/svg+xml;base64,{picture}" style="max-width:100%;min-width:48rem;height:auto" '
        f'alt="{escape(told)}"></div>'
    )
