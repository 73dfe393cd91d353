"""A dataset's versions as a graph, and what is different between two of them."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import parts, reading
from dashboard.commit_graph import ROW_HEIGHT, draw_svg
from dashboard.differences import marked
from dashboard.formats import NOTHING, moment, number
from dashboard.links import chosen_key, kept_in_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from contracts.dataset_versions import ChangedRow, FieldChange, LoggedCommit, ShownRow, VersionDifference
    from contracts.datasets import DatasetVersion
    from dashboard.texts import Words
    from dashboard.visits import Visit

LISTED = 30


def show(dataset: DatasetVersion, visit: Visit, words: Words) -> None:
    """Both parts of a version's story."""
    st.subheader(words("dataset_history.title"))
    commits = reading.dataset_history(visit, dataset.dataset_id)
    if not commits:
        parts.missing(words("dataset_history.not_here"))
        return
    shown = commits[:LISTED]
    chosen = next((commit for commit in commits if commit.dataset_id == dataset.dataset_id), None)
    parts.html(_graph(shown, chosen, words))
    if len(commits) > len(shown):
        st.caption(words("dataset_history.more", n=number(len(commits) - len(shown))))
    others = [commit for commit in commits if commit.dataset_id != dataset.dataset_id]
    if chosen is None or not others:
        st.caption(words("dataset_history.nothing_to_compare"))
        return
    _compare(chosen, others, visit, words)


def _graph(commits: Sequence[LoggedCommit], chosen: LoggedCommit | None, words: Words) -> str:
    picture = b64encode(draw_svg(commits, None if chosen is None else chosen.commit).encode()).decode()
    lines = "".join(_line(commit, words) for commit in commits)
    return (
        f'<div class="tw-scroll"><div class="tw-history"><img src="data:image/svg+xml;base64,{picture}" alt="" '
        f'style="height:{len(commits) * ROW_HEIGHT}px"><table class="tw-rows"><tbody>{lines}</tbody></table></div></div>'
    )


def _line(commit: LoggedCommit, words: Words) -> str:
    at = moment(datetime.fromisoformat(commit.created_at), words.language)
    names = "".join(parts.badge(name, "neutral") for name in (*commit.branches, *commit.tags))
    said = escape(commit.message) if commit.message else ""
    cells = (
        f"<b>{escape(commit.version or commit.commit[:12])}</b> {names}",
        escape(words.named("dataset_operation", commit.operation)),
        escape(words("dataset_history.rows", n=number(commit.rows))),
        escape(at),
        f"<small>{said}</small>",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _compare(after: LoggedCommit, others: Sequence[LoggedCommit], visit: Visit, words: Words) -> None:
    """With the version before, unless another is chosen; counted when asked for, or when the address names one."""
    st.subheader(words("dataset_history.compare"))
    by_id = {commit.dataset_id: commit for commit in others if commit.dataset_id is not None}
    asked = st.query_params.get("from")
    key = chosen_key(f"from-{after.dataset_id}")
    if key not in st.session_state:
        named = int(asked) if asked is not None and asked.isdecimal() else None
        parent = next((number for number, commit in by_id.items() if commit.commit in after.parents), None)
        st.session_state[key] = named if named in by_id else parent or next(iter(by_id))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        before = st.selectbox(
            words("dataset_history.before"),
            list(by_id),
            format_func=lambda number: by_id[number].version or by_id[number].commit[:12],
            key=key,
        )
        wanted = st.button(words("dataset_history.compare_button"), key=f"compare-{after.dataset_id}")
    if not wanted and asked != str(before):
        st.caption(words("dataset_history.compare_hint"))
        return
    kept_in_address("from", str(before), "")
    assert after.dataset_id is not None, "it was found by it"
    with st.spinner(words("dataset_history.comparing")):
        difference = reading.dataset_difference(visit, before, after.dataset_id)
    _difference(difference, words)


def _difference(difference: VersionDifference, words: Words) -> None:
    parts.html(
        parts.figures(
            [
                (words("dataset_history.added"), number(difference.added)),
                (words("dataset_history.removed"), number(difference.removed)),
                (words("dataset_history.changed"), number(difference.changed)),
                (words("dataset_history.rescored"), number(difference.rescored)),
                (words("dataset_history.unchanged"), number(difference.unchanged)),
            ]
        )
    )
    if not (difference.added or difference.removed or difference.changed):
        st.success(words("dataset_history.same"), icon=":material/check:")
    _rows("added", difference.added, [_shown(row, words) for row in difference.added_rows], words)
    _rows("removed", difference.removed, [_shown(row, words) for row in difference.removed_rows], words)
    _rows("changed", difference.changed, [_changed(row, words) for row in difference.changed_rows], words)


def _rows(kind: str, total: int, cases: Sequence[str], words: Words) -> None:
    if not cases:
        return
    with st.expander(f"{words(f'dataset_history.{kind}')} {number(total)}", expanded=total <= len(cases) <= LISTED):
        parts.html("".join(cases))
        if total > len(cases):
            st.caption(words("dataset_history.first_of", shown=number(len(cases)), total=number(total)))


def _shown(row: ShownRow, words: Words) -> str:
    return (
        f'<div class="tw-case"><small>{escape(words.of(row.split))}</small><div><b>{escape(row.question)}</b></div>'
        f"<div>{escape(row.answer)}</div></div>"
    )


def _changed(row: ChangedRow, words: Words) -> str:
    changes = "".join(_change(change, words) for change in row.fields)
    return f'<div class="tw-case"><div><b>{escape(row.question)}</b></div>{changes}</div>'


def _change(change: FieldChange, words: Words) -> str:
    before, after = marked(_text(change.before), _text(change.after))
    sides: Iterable[tuple[str, str]] = (
        (words("dataset_history.was"), before),
        (words("dataset_history.is_now"), after),
    )
    answers = "".join(
        f'<div class="answer"><small>{escape(label)} · {escape(change.field)}</small><br>{text}</div>'
        for label, text in sides
    )
    return f'<div class="answers">{answers}</div>'


def _text(value: object) -> str:
    return NOTHING if value is None else str(value)
