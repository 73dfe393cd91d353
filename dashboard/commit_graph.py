"""The history of a dataset as lanes, as `git log --graph` draws it: branches beside each other, merges joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.theme import RUN_COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.dataset_versions import LoggedCommit

ROW_HEIGHT = 34
"""Pixels; the rows of the table beside the picture are as high."""
_LANE_WIDTH = 18
_RADIUS = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version stands."""

    row: int
    lane: int


def lay_out(commits: Sequence[LoggedCommit]) -> dict[str, Place]:
    """A place for each commit, given newest first: the first parent keeps the lane of its child where it is free."""
    waiting: list[str | None] = []
    """By lane: the commit that comes next in it."""
    places: dict[str, Place] = {}
    shown = {commit.commit for commit in commits}
    for row, commit in enumerate(commits):
        lane = waiting.index(commit.commit) if commit.commit in waiting else _free(waiting)
        waiting = [None if name == commit.commit else name for name in waiting]
        places[commit.commit] = Place(row, lane)
        for parent in commit.parents:
            if parent not in shown or parent in waiting:
                continue
            at = lane if waiting[lane] is None else _free(waiting)
            waiting[at] = parent
    return places


def _free(waiting: list[str | None]) -> int:
    if None not in waiting:
        waiting.append(None)
    return waiting.index(None)


def draw_svg(commits: Sequence[LoggedCommit], chosen: str | None) -> str:
    """The picture, one row of ROW_HEIGHT a commit; the chosen one is filled."""
    places = lay_out(commits)
    width = (max((place.lane for place in places.values()), default=0) + 1) * _LANE_WIDTH
    height = len(commits) * ROW_HEIGHT
    lines, dots = [], []
    for commit in commits:
        place = places[commit.commit]
        x, y = _middle(place)
        for parent in commit.parents:
            if parent in places:
                to_x, to_y = _middle(places[parent])
                colour = _colour(places[parent] if places[parent].lane > place.lane else place)
                bend = f"C {x} {y + ROW_HEIGHT / 2:g}, {to_x} {to_y - ROW_HEIGHT / 2:g}, {to_x} {to_y}"
                lines.append(f'<path d="M {x} {y} {bend}" fill="none" stroke="{colour}" stroke-width="2"/>')
        fill = _colour(place) if commit.commit == chosen else "#ffffff"
        dots.append(
            f'<circle cx="{x}" cy="{y}" r="{_RADIUS}" fill="{fill}" stroke="{_colour(place)}" stroke-width="2.5"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"{''.join(lines)}{''.join(dots)}</svg>"
    )


def _middle(place: Place) -> tuple[int, int]:
    return place.lane * _LANE_WIDTH + _LANE_WIDTH // 2, place.row * ROW_HEIGHT + ROW_HEIGHT // 2


def _colour(place: Place) -> str:
    return RUN_COLOURS[place.lane % len(RUN_COLOURS)]
