"""Keys of service accounts: made, shown once, refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.errors import TunewayError
from contracts.identity import AccountKind
from contracts.record import utc_now
from dashboard import parts, reading, writing
from dashboard.formats import moment
from dashboard.views import shown_once

if TYPE_CHECKING:
    from contracts.identity import ApiKey
    from dashboard.texts import Words
    from dashboard.visits import Visit

USUAL_DAYS = 90
MOST_DAYS = 366


def show(visit: Visit, words: Words) -> None:
    """The list, the form for another key, and the button that ends one."""
    shown_once.show(words)
    every = reading.list_keys(visit)
    if not every:
        parts.empty(words("api_keys.empty"), words("api_keys.empty_text"))
    else:
        st.dataframe([_line(key, words) for key in every], hide_index=True, width="stretch")
    if visit.may(ResourceKind.TOKEN, "create"):
        with st.expander(words("api_keys.create"), icon=":material/key:"):
            _create(visit, words)
    good = [key.prefix for key in every if key.revoked_at is None and key.expires_at > utc_now()]
    if good and visit.may(ResourceKind.TOKEN, "revoke"):
        _revoke(visit, good, words)


def _line(key: ApiKey, words: Words) -> dict[str, str]:
    state = "revoked" if key.revoked_at is not None else "expired" if key.expires_at <= utc_now() else "valid"
    return {
        words("api_keys.prefix"): key.prefix,
        words("api_keys.name"): key.name,
        words("api_keys.account"): key.username,
        words("api_keys.scopes"): ", ".join(key.scopes),
        words("api_keys.state"): words(f"api_keys.{state}"),
        words("api_keys.expires"): moment(key.expires_at, words.language),
        words("api_keys.used"): moment(key.last_used_at, words.language),
    }


def _create(visit: Visit, words: Words) -> None:
    programs = [account.username for account in reading.list_accounts(visit) if account.kind is AccountKind.SERVICE]
    if not programs:
        st.caption(words("api_keys.no_service"))
        return
    with st.form("create-key", border=False):
        columns = st.columns(4)
        account = columns[0].selectbox(words("api_keys.account"), programs, key="key-account")
        name = columns[1].text_input(words("api_keys.name"), key="key-name", max_chars=255)
        scopes = columns[2].text_input(
            words("api_keys.scopes"), "job:*", help=words("api_keys.scopes_help"), key="key-scopes"
        )
        days = columns[3].number_input(words("api_keys.days"), 1, MOST_DAYS, USUAL_DAYS, key="key-days")
        is_sent = st.form_submit_button(words("api_keys.create_button"))
    if not is_sent:
        return
    if not name.strip():
        st.warning(words("api_keys.name_missing"), icon=":material/edit:")
        return
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    try:
        made = writing.create_key(visit, account, name.strip(), wanted, int(days))
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("error.title"), words)
        return
    shown_once.keep(words("api_keys.made", name=made.details.name), made.key)
    st.rerun()


def _revoke(visit: Visit, good: list[str], words: Words) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        prefix = st.selectbox(words("api_keys.to_revoke"), good, key="key-to-revoke")
        if st.button(words("api_keys.revoke"), key="revoke-key", help=words("api_keys.revoke_help")):
            writing.revoke_key(visit, prefix)
            st.rerun()
