"""A job's log: it follows while the job runs, is searched, goes back on demand, and can be taken along."""

from __future__ import annotations

import re
from functools import partial
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import parts, reading
from dashboard.formats import number

if TYPE_CHECKING:
    from contracts.jobs import FinetuningJob
    from dashboard.reading import LogView
    from dashboard.texts import Words
    from dashboard.visits import Visit

FOLLOW_SECONDS = 1.0
LOG_PIXELS = 420
FIND = "find"
"""Of the address: what is searched for, so that a reload finds it again."""
LONGEST_SEARCH = 200


def show_log(visit: Visit, job: FinetuningJob, words: Words, *, is_live: bool) -> None:
    """The log with its search; a running job's follows unless the reader pauses it."""
    st.subheader(words("job_log.title"))
    if reading.job_log(visit, job.job_id, 1) is None:
        parts.missing(words("job_log.missing"))
        wait = partial(parts.guarded, partial(_wait, visit, job.job_id), words)
        st.fragment(wait, run_every=FOLLOW_SECONDS if is_live else None)()
        return
    text = _search_field(words)
    with st.container(horizontal=True, vertical_alignment="center"):
        is_following = is_live and st.toggle(
            words("job_log.follow"), value=True, help=words("job_log.follow_help"), key=f"log-follow-{job.job_id}"
        )
        only_found = bool(text) and st.toggle(words("job_log.only_found"), key="log-only-found")
        st.download_button(
            words("job_log.download"),
            partial(reading.whole_log, visit, job.job_id),
            file_name=f"{job.job_name}.log",
            mime="text/plain",
            icon=":material/download:",
            on_click="ignore",
            key=f"log-download-{job.job_id}",
        )
    attempt = _attempt(visit, job, words)

    def draw() -> None:
        _log(visit, job, attempt, words, text=text, only_found=only_found, is_following=is_following)

    st.fragment(lambda: parts.guarded(draw, words), run_every=FOLLOW_SECONDS if is_following else None)()


def _wait(visit: Visit, job_id: int) -> None:
    """Draw the page again when there is a log."""
    if reading.job_log(visit, job_id, 1) is not None:
        st.rerun()


def _search_field(words: Words) -> str:
    st.session_state.setdefault("log-find", st.query_params.get(FIND, ""))
    given: str = st.text_input(
        words("job_log.find"),
        max_chars=LONGEST_SEARCH,
        type="search",
        icon=":material/search:",
        placeholder=words("job_log.find_example"),
        key="log-find",
    )
    if given:
        st.query_params[FIND] = given
    elif FIND in st.query_params:
        del st.query_params[FIND]
    return given


def _attempt(visit: Visit, job: FinetuningJob, words: Words) -> int | None:
    """Which attempt's log; None, the newest, unless there are several and another one was chosen."""
    log = reading.job_log(visit, job.job_id, 1)
    if log is None or len(log.attempts) < 2:
        return None
    newest_first = log.attempts[::-1]
    chosen: int = st.selectbox(
        words("job_log.attempt"),
        newest_first,
        format_func=lambda attempt: words("job_log.attempt_n", n=attempt),
        key=f"log-attempt-{job.job_id}",
    )
    return None if chosen == newest_first[0] else chosen


def _log(
    visit: Visit,
    job: FinetuningJob,
    attempt: int | None,
    words: Words,
    *,
    text: str,
    only_found: bool,
    is_following: bool,
) -> None:
    key = f"log-lines-{job.job_id}"
    wanted: int = st.session_state.get(key, reading.LOG_LINES)
    log = reading.job_log(visit, job.job_id, wanted, attempt)
    if log is None:
        # the folder was cleared away meanwhile
        parts.missing(words("job_log.empty"))
        return
    lines = log.lines
    if text:
        found = reading.search_log(visit, job.job_id, log.attempt, text)
        told = words("job_log.found" if found.is_whole else "job_log.found_in_end", n=number(found.count))
        st.caption(told if found.count else words("job_log.found_none"))
        lines = found.lines if only_found else lines
    else:
        st.caption(words("job_log.shown", n=number(len(lines))))
    if log.has_older and not only_found:
        _older(log, key, wanted, words)
    if not lines:
        parts.missing(words("job_log.empty"))
        return
    with st.container(height=LOG_PIXELS if len(lines) > 16 else "content", autoscroll=is_following, border=True):
        body = _marked(lines, text)
        parts.html(f'<pre class="tw-log" tabindex="0" aria-label="{escape(words("job_log.title"))}">{body}</pre>')


def _older(log: LogView, key: str, wanted: int, words: Words) -> None:
    if wanted >= reading.MOST_LINES:
        st.caption(words("job_log.download_for_more"))
        return

    def more() -> None:
        st.session_state[key] = min(wanted + reading.OLDER_LINES, reading.MOST_LINES)

    st.button(
        words("job_log.older", n=number(reading.OLDER_LINES)),
        key=f"log-older-{log.attempt}",
        icon=":material/expand_less:",
        type="tertiary",
        on_click=more,
    )


def _marked(lines: list[str], text: str) -> str:
    """The lines as markup, what was searched for highlighted in them."""
    if not text:
        return escape("\n".join(lines))
    wanted = re.compile(f"({re.escape(text)})", re.IGNORECASE)
    return "\n".join(
        "".join(f"<mark>{escape(part)}</mark>" if place % 2 else escape(part) for place, part in enumerate(pieces))
        for pieces in map(wanted.split, lines)
    )
