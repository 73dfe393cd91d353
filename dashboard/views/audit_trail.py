"""Who did what: searched, exported, verified."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.audit import AuditFilter, AuditResult
from contracts.errors import TunewayError
from dashboard import parts, reading, writing
from dashboard.formats import NOTHING, SEOUL, moment, number

if TYPE_CHECKING:
    from contracts.audit import AuditEntry
    from dashboard.texts import Words
    from dashboard.visits import Visit

_BEFORE = "audit-before"
"""The session's way back: the entries before which the parts were read."""


def show(visit: Visit, words: Words) -> None:
    """Search form, the newest entries that match, and what can be done with them."""
    wanted = _wanted(words)
    before: list[int] = st.session_state.setdefault(_BEFORE, [])
    entries, has_older = reading.audit_entries(visit, wanted, before[-1] if before else None)
    if not entries:
        parts.empty(words("audit_trail.nothing"), words("audit_trail.nothing_text"))
    else:
        st.dataframe([_line(entry, words) for entry in entries], hide_index=True, width="stretch")
        st.caption(words("audit_trail.shown", first=number(entries[-1].id), last=number(entries[0].id)))
    with st.container(horizontal=True):
        if before:
            st.button(words("audit_trail.newer"), key="audit-newer", on_click=before.pop)
        if has_older:
            st.button(words("audit_trail.older"), key="audit-older", on_click=before.append, args=(entries[-1].id,))
    if visit.may(ResourceKind.AUDIT, "export"):
        _export(visit, wanted, words)
    if visit.may(ResourceKind.AUDIT, "verify"):
        _verify(visit, words)


def _wanted(words: Words) -> AuditFilter:
    """What the form and the address ask for; another question begins at the newest entries."""
    given = {name: st.query_params.get(name, "") for name in ("actor", "action", "subject", "text")}
    with st.form("audit-search", border=False):
        columns = st.columns(4)
        for column, (name, value) in zip(columns, given.items(), strict=True):
            given[name] = column.text_input(
                words(f"audit_trail.{name}"), value=value, help=words(f"audit_trail.{name}_help"), key=f"audit-{name}"
            )
        columns = st.columns(4)
        result = columns[0].selectbox(
            words("audit_trail.result"),
            [None, *AuditResult],
            format_func=lambda found: _result(found, words),
            key="audit-result",
        )
        since = columns[1].date_input(words("audit_trail.since"), value=None, key="audit-since")
        until = columns[2].date_input(words("audit_trail.until"), value=None, key="audit-until")
        is_asked = st.form_submit_button(words("audit_trail.search"), icon=":material/search:")
    if is_asked:
        st.session_state[_BEFORE] = []
        for name, value in given.items():
            if value.strip():
                st.query_params[name] = value.strip()
            else:
                st.query_params.pop(name, None)
    texts = {name: value.strip() or None for name, value in given.items()}
    return AuditFilter(**texts, result=result, since=_midnight(since), until=_midnight(until, later=timedelta(days=1)))


def _result(result: AuditResult | None, words: Words) -> str:
    return words("audit_trail.any") if result is None else words.of(result)


def _midnight(day: date | None, later: timedelta = timedelta()) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), SEOUL) + later


def _line(entry: AuditEntry, words: Words) -> dict[str, str]:
    return {
        words("audit_trail.at"): moment(entry.at, words.language, seconds=True),
        words("audit_trail.actor"): entry.actor,
        words("audit_trail.action"): entry.action,
        words("audit_trail.subject"): entry.subject,
        words("audit_trail.result"): words.of(entry.result),
        words("audit_trail.purpose"): entry.purpose or NOTHING,
        words("audit_trail.details"): json.dumps(entry.details, ensure_ascii=False) if entry.details else NOTHING,
        words("audit_trail.origin"): entry.origin,
        words("audit_trail.number"): number(entry.id),
    }


def _export(visit: Visit, wanted: AuditFilter, words: Words) -> None:
    with st.expander(words("audit_trail.export"), icon=":material/download:"):
        st.caption(words("audit_trail.export_text"))
        purpose = st.text_input(words("audit_trail.purpose"), key="audit-purpose", max_chars=500)
        if not st.button(words("audit_trail.export_button"), key="audit-export"):
            return
        try:
            content = writing.export_audit(visit, wanted, purpose)
        except TunewayError as error:
            parts.error_parts(error.as_record(), words("error.title"), words)
            return
        st.download_button(words("audit_trail.save"), content, "audit.csv", "text/csv", icon=":material/save:")


def _verify(visit: Visit, words: Words) -> None:
    with st.expander(words("audit_trail.verify"), icon=":material/verified_user:"):
        st.caption(words("audit_trail.verify_text"))
        if not st.button(words("audit_trail.verify_button"), key="audit-verify"):
            return
        with st.spinner(words("audit_trail.verifying")):
            check = reading.audit_check(visit)
        chain = check.chain
        if check.is_whole:
            st.success(words("audit_trail.whole", n=number(chain.entries)), icon=":material/check_circle:")
            return
        st.error(words("audit_trail.broken", n=number(chain.problems_total)), icon=":material/gpp_bad:")
        found = [[problem.kind.value, number(problem.first), number(problem.last)] for problem in chain.problems[:20]]
        parts.html(
            parts.rows(
                [words("audit_trail.problem"), words("audit_trail.from"), words("audit_trail.to")], found, (1, 2)
            )
        )
