"""Accounts: made, changed, let in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.errors import TunewayError
from contracts.identity import AccountKind, NewAccount, Role
from contracts.record import utc_now
from dashboard import parts, reading, writing
from dashboard.formats import NOTHING, moment
from dashboard.links import choose
from dashboard.views import shown_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from contracts.identity import Account
    from dashboard.texts import Words
    from dashboard.visits import Visit


def show(visit: Visit, words: Words) -> None:
    """The list, one account to change, and the form for another one."""
    shown_once.show(words)
    every = reading.list_accounts(visit)
    st.dataframe([_line(account, words) for account in every], hide_index=True, width="stretch")
    if visit.may(ResourceKind.USER, "create"):
        with st.expander(words("accounts.add"), icon=":material/person_add:"):
            _add(visit, words)
    if visit.may(ResourceKind.USER, "update"):
        by_name = {account.username: account for account in every}
        name = choose("user", words("accounts.choose"), list(by_name), str)
        if name in by_name:
            _change(visit, by_name[name], words)
        else:
            st.warning(words("unavailable.not_found_title"), icon=":material/search_off:")


def _line(account: Account, words: Words) -> dict[str, str]:
    is_locked = account.locked_until is not None and account.locked_until > utc_now()
    state = "locked" if is_locked else "active" if account.is_active else "disabled"
    return {
        words("accounts.name"): account.username,
        words("accounts.kind"): words.of(account.kind),
        words("accounts.role"): words.of(account.role),
        words("accounts.projects"): ", ".join(account.projects) or NOTHING,
        words("accounts.state"): words(f"accounts.{state}"),
        words("accounts.created"): moment(account.created_at, words.language),
    }


def _add(visit: Visit, words: Words) -> None:
    with st.form("add-account", border=False):
        columns = st.columns(4)
        name = columns[0].text_input(words("accounts.name"), key="account-name", max_chars=63)
        kind = columns[1].selectbox(words("accounts.kind"), list(AccountKind), format_func=words.of, key="account-kind")
        role = columns[2].selectbox(
            words("accounts.role"),
            list(Role),
            index=list(Role).index(Role.VIEWER),
            format_func=words.of,
            key="account-role",
        )
        projects = columns[3].text_input(
            words("accounts.projects"), help=words("accounts.projects_help"), key="account-projects"
        )
        is_sent = st.form_submit_button(words("accounts.add_button"))
    if is_sent:
        _carry_out(lambda: writing.add_account(visit, name.strip(), role, kind, _split(projects)), words)


def _change(visit: Visit, account: Account, words: Words) -> None:
    name = account.username
    with st.form(f"change-{name}", border=True):
        columns = st.columns(2)
        role = columns[0].selectbox(
            words("accounts.role"),
            list(Role),
            index=list(Role).index(account.role),
            format_func=words.of,
            key=f"role-{name}",
        )
        projects = columns[1].text_input(
            words("accounts.projects"),
            ", ".join(account.projects),
            help=words("accounts.projects_help"),
            key=f"projects-{name}",
        )
        is_sent = st.form_submit_button(words("accounts.change_button"))
    if is_sent:
        _carry_out(lambda: writing.grant(visit, name, role, _split(projects)), words)
    with st.container(horizontal=True):
        switch = "disable" if account.is_active else "enable"
        if st.button(words(f"accounts.{switch}"), key=f"{switch}-{name}", help=words(f"accounts.{switch}_help")):
            _carry_out(lambda: writing.set_active(visit, name, not account.is_active), words)
        is_person = account.kind is AccountKind.PERSON
        if is_person and st.button(words("accounts.reset"), key=f"reset-{name}", help=words("accounts.reset_help")):
            _carry_out(lambda: writing.reset_password(visit, name), words)


def _carry_out(change: Callable[[], Account | NewAccount], words: Words) -> None:
    """Do it and draw anew with what came of it; an error stays where the button is."""
    try:
        changed = change()
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("error.title"), words)
        return
    if isinstance(changed, NewAccount) and changed.password is not None:
        shown_once.keep(words("accounts.password", name=changed.account.username), changed.password)
    st.rerun()


def _split(projects: str) -> list[str]:
    return [project.strip() for project in projects.split(",") if project.strip()]
