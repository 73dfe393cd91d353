"""What a person does with a model version: into service and out of it, into production, back, away. Nothing without a confirmation."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.access import ResourceKind
from contracts.enums import DeploymentState, GateDecision, ModelStatus
from contracts.errors import TunewayError
from contracts.promotions import REASON_LENGTH, RollbackOutcome
from contracts.record import utc_now
from dashboard import parts, reading, writing
from dashboard.formats import duration, model_label, moment, number

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from contracts.deployments import DeploymentHistory
    from dashboard.long_actions import LongAction
    from dashboard.reading import ModelOutlook, ModelStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

ASKED, DONE, AWAITED = "model-action", "model-action-done", "deployment-awaited"
DEPLOYMENT_SECONDS = 2.0
ACTION_SECONDS = 1.0
MOST_SECONDS_TO_BEGIN = 120
"""Its process writes the deployment down when it has started: after seconds, on a busy machine more."""
_ICONS = {
    "deploy": ":material/rocket_launch:",
    "promote": ":material/verified:",
    "roll_back": ":material/undo:",
    "undeploy": ":material/power_settings_new:",
    "archive": ":material/archive:",
    "restore": ":material/unarchive:",
}
_ASKED_OF_POLICIES = {"undeploy": "deploy", "archive": "promote", "restore": "promote"}
"""What the policies call it, where they have another word."""
_REVIEWED = {"deploy", "promote"}
"""What people look for whom the policies keep from it: who trains does not approve."""
_WITHOUT_REASON = {"deploy", "undeploy"}


@dataclass(frozen=True)
class AwaitedDeployment:
    """Asked for, and not written down yet by the process that carries it out."""

    model_id: int
    asked_at: datetime
    earlier: int | None
    """The version's newest deployment before."""


def show(visit: Visit, story: ModelStory, words: Words) -> None:
    """The buttons that suit the version and its reader, and how its deployment goes on."""
    model = story.listing.version
    if done := st.session_state.pop(DONE, None):
        st.success(done, icon=":material/check_circle:")
    outlook = reading.model_outlook(visit, model.model_id)
    under_way = reading.model_action(visit, model.model_id)
    if under_way is not None and visit.may(ResourceKind.MODEL, _ASKED_OF_POLICIES.get(under_way.name, under_way.name)):
        _tell_action(visit, under_way, model.model_id, words)
    awaited = _awaited(model.model_id, outlook)
    is_busy = (under_way is not None and not under_way.is_over) or awaited is not None
    suiting = [] if is_busy else [action for action in _ICONS if _suits(action, story, outlook)]
    offered = [action for action in suiting if _ASKED_OF_POLICIES.get(action, action) in outlook.allowed]
    asked = st.session_state.get(ASKED)
    if offered:
        with st.container(horizontal=True):
            for action in offered:
                st.button(
                    words(f"model_actions.{action}"),
                    key=f"{action}-{model.model_id}",
                    icon=_ICONS[action],
                    on_click=_ask,
                    args=(model.model_id, action),
                )
    withheld = [words(f"model_actions.{action}") for action in suiting if action in _REVIEWED and action not in offered]
    if withheld:
        st.caption(words("model_actions.withheld", actions=", ".join(withheld)))
    if asked in [(model.model_id, action) for action in offered]:
        with st.container(border=True):
            _confirm(visit, asked[1], story, outlook, words)
    if awaited is not None:
        _await_deployment(visit, awaited, words)
    elif outlook.deployment is not None:
        _follow(visit, model.model_id, outlook.deployment, words)


def _ask(model_id: int, action: str | None) -> None:
    st.session_state[ASKED] = (model_id, action)


def _suits(action: str, story: ModelStory, outlook: ModelOutlook) -> bool:
    status = story.listing.version.status
    if outlook.is_base:
        return False
    match action:
        case "promote":
            return status is ModelStatus.STAGING
        case "roll_back":
            return status is ModelStatus.PRODUCTION and outlook.previous is not None
        case "undeploy":
            return _is_leaving_possible(outlook) and status is not ModelStatus.PRODUCTION and not outlook.experiments
        case "archive":
            return status is ModelStatus.STAGING and not outlook.is_deployed
        case "restore":
            return status is ModelStatus.ARCHIVED
        case _:
            return story.endpoint is None and status is not ModelStatus.ARCHIVED and not _is_leaving_possible(outlook)


def _is_leaving_possible(outlook: ModelOutlook) -> bool:
    """It serves, or somebody began to take it out of service and was cut off."""
    return outlook.deployment is not None and outlook.deployment.deployment.state in {
        DeploymentState.SERVING,
        DeploymentState.DRAINING,
    }


def _confirm(visit: Visit, action: str, story: ModelStory, outlook: ModelOutlook, words: Words) -> None:
    model_id = story.listing.version.model_id
    st.markdown(f"**{words('model_actions.what_happens')}**")
    try:
        st.markdown("\n".join(f"- {line}" for line in _EFFECTS[action](visit, story, outlook, words)))
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("model_actions.cannot"), words)
        st.button(words("model_actions.cancel"), key="cancel-action", on_click=_ask, args=(model_id, None))
        return
    reason, override = "", False
    if action not in _WITHOUT_REASON:
        reason = st.text_input(words("model_actions.reason"), key=f"reason-{model_id}", max_chars=REASON_LENGTH)
    if action == "promote" and not _has_passed(story):
        override = st.checkbox(words("model_actions.override"), key=f"override-{model_id}")
    with st.container(horizontal=True):
        is_sent = st.button(
            words(f"model_actions.{action}_now"), key="confirm-action", type="primary", icon=_ICONS[action]
        )
        st.button(words("model_actions.cancel"), key="cancel-action", on_click=_ask, args=(model_id, None))
    if not is_sent:
        return
    if action not in _WITHOUT_REASON and not reason.strip():
        st.warning(words("model_actions.reason_missing"), icon=":material/edit:")
        return
    try:
        with st.spinner(words("model_actions.doing")):
            told = _carry_out(visit, action, story, outlook, reason.strip(), override, words)
    except TunewayError as error:
        parts.error_parts(error.as_record(), words("error.title"), words)
        return
    if told is not None:
        st.session_state[DONE] = told
    _ask(model_id, None)
    # what was read before it would stand for another second
    st.cache_data.clear()
    st.rerun()


def _has_passed(story: ModelStory) -> bool:
    return story.verdict is not None and story.verdict.decision is GateDecision.PASS


def _deploy_effects(visit: Visit, story: ModelStory, _: ModelOutlook, words: Words) -> list[str]:
    plan = reading.deployment_plan(visit, story.listing.version.model_id)
    lines = [
        words(
            "model_actions.deploy_arm_runs" if arm.server_runs else "model_actions.deploy_arm_starts",
            arm=words(f"ab_tests.arm_{arm.arm.value}"),
            model=parts.plain(f"{arm.model_name} {arm.version}"),
            server=parts.plain(arm.server),
        )
        for arm in plan.arms
    ]
    if plan.cards:
        lines.append(words("model_actions.deploy_cards", n=number(plan.cards)))
    return [*lines, words("model_actions.deploy_checked"), words("model_actions.deploy_users")]


def _promote_effects(_: Visit, story: ModelStory, outlook: ModelOutlook, words: Words) -> list[str]:
    model = parts.plain(model_label(story.listing.version))
    if outlook.production is None:
        lines = [words("model_actions.promote_first", model=model)]
    else:
        lines = [
            words("model_actions.promote_in_place", model=model, present=parts.plain(model_label(outlook.production)))
        ]
    if story.verdict is None:
        lines.append(words("model_actions.promote_unjudged"))
    else:
        lines.append(words("model_actions.promote_verdict", verdict=words.of(story.verdict.decision)))
    if story.endpoint is None:
        lines.append(words("model_actions.promote_undeployed"))
    return [*lines, words("model_actions.audited")]


def _roll_back_effects(_: Visit, story: ModelStory, outlook: ModelOutlook, words: Words) -> list[str]:
    assert outlook.previous is not None
    lines = [
        words(
            "model_actions.roll_back_to",
            previous=parts.plain(model_label(outlook.previous)),
            model=parts.plain(model_label(story.listing.version)),
        )
    ]
    if story.endpoint is not None:
        lines.append(words("model_actions.roll_back_served"))
    if outlook.experiments:
        lines.append(words("model_actions.roll_back_tests", tests=parts.plain(", ".join(outlook.experiments))))
    return [*lines, words("model_actions.audited")]


def _undeploy_effects(_: Visit, story: ModelStory, __: ModelOutlook, words: Words) -> list[str]:
    return [
        words("model_actions.undeploy_users", model=parts.plain(model_label(story.listing.version))),
        words("model_actions.undeploy_drains"),
        words("model_actions.audited"),
    ]


def _archive_effects(_: Visit, story: ModelStory, __: ModelOutlook, words: Words) -> list[str]:
    return [
        words("model_actions.archive_hides", model=parts.plain(model_label(story.listing.version))),
        words("model_actions.archive_keeps"),
        words("model_actions.audited"),
    ]


def _restore_effects(_: Visit, story: ModelStory, __: ModelOutlook, words: Words) -> list[str]:
    return [
        words("model_actions.restore_offers", model=parts.plain(model_label(story.listing.version))),
        words("model_actions.audited"),
    ]


_EFFECTS: dict[str, Callable[[Visit, ModelStory, ModelOutlook, Words], list[str]]] = {
    "deploy": _deploy_effects,
    "promote": _promote_effects,
    "roll_back": _roll_back_effects,
    "undeploy": _undeploy_effects,
    "archive": _archive_effects,
    "restore": _restore_effects,
}


def _carry_out(
    visit: Visit, action: str, story: ModelStory, outlook: ModelOutlook, reason: str, override: bool, words: Words
) -> str | None:
    """What is told then; None for what goes on and tells of itself."""
    model = story.listing.version
    label = parts.plain(model_label(model))
    match action:
        case "deploy":
            writing.deploy_model(visit, model.model_id)
            earlier = None if outlook.deployment is None else outlook.deployment.deployment.deployment_id
            st.session_state[AWAITED] = AwaitedDeployment(model.model_id, utc_now(), earlier)
            return words("model_actions.deploy_asked", model=label)
        case "promote":
            replaces = 0 if outlook.production is None else outlook.production.model_id
            promoted = writing.promote_model(visit, model.model_id, reason=reason, override=override, replaces=replaces)
            told = words("model_actions.promoted", model=label)
            return told if promoted.mlflow_error is None else f"{told} {words('model_actions.mlflow_later')}"
        case "archive":
            writing.set_model_aside(visit, model.model_id, ModelStatus.ARCHIVED, reason=reason)
            return words("model_actions.archived", model=label)
        case "restore":
            writing.set_model_aside(visit, model.model_id, ModelStatus.STAGING, reason=reason)
            return words("model_actions.restored", model=label)
        case "undeploy":
            writing.undeploy_model(visit, model.model_id)
        case _:
            writing.roll_back_model(visit, model.model_id, reason=reason)
    return None


def _tell_action(visit: Visit, action: LongAction, model_id: int, words: Words) -> None:
    """What goes on and since when, then how it ended."""
    if not action.is_over:

        def look() -> None:
            if action.is_over:
                # what was read before it ended would stand for another second
                st.cache_data.clear()
                st.rerun()
            doing = words(f"model_actions.{action.name}_goes_on", actor=action.actor)
            since = duration(utc_now() - action.began_at, words)
            st.info(f"{parts.plain(doing)} ({since})", icon=":material/hourglass_top:")

        st.fragment(look, run_every=ACTION_SECONDS)()
        return
    failure = action.failure()
    if failure is not None:
        parts.error_parts(failure.as_record(), words(f"model_actions.{action.name}_failed"), words)
        return
    if action.name == "undeploy":
        told = words("model_actions.undeployed")
    else:
        present = reading.model_outlook(visit, model_id).production
        told = words("model_actions.rolled_back", previous="" if present is None else parts.plain(model_label(present)))
        outcome = action.future.result()
        if isinstance(outcome, RollbackOutcome) and outcome.mlflow_error is not None:
            told = f"{told} {words('model_actions.mlflow_later')}"
    st.success(told, icon=":material/check_circle:")


def _awaited(model_id: int, outlook: ModelOutlook) -> AwaitedDeployment | None:
    """The deployment that this reader has asked for, while there is nothing of it to follow."""
    awaited: AwaitedDeployment | None = st.session_state.get(AWAITED)
    if awaited is None or awaited.model_id != model_id:
        return None
    newest = None if outlook.deployment is None else outlook.deployment.deployment
    # one that was cut off is gone on with in its own row
    if newest is None or (newest.deployment_id == awaited.earlier and newest.state.is_final):
        return awaited
    del st.session_state[AWAITED]
    return None


def _await_deployment(visit: Visit, awaited: AwaitedDeployment, words: Words) -> None:
    def look() -> None:
        waited = utc_now() - awaited.asked_at
        if _awaited(awaited.model_id, reading.model_outlook(visit, awaited.model_id)) is None:
            st.rerun()
        if waited.total_seconds() > MOST_SECONDS_TO_BEGIN:
            st.warning(words("model_actions.deploy_not_begun"), icon=":material/warning:")
            return
        st.info(f"{words('model_actions.deploy_begins')} ({duration(waited, words)})", icon=":material/hourglass_top:")

    st.fragment(lambda: parts.guarded(look, words), run_every=DEPLOYMENT_SECONDS)()


def _follow(visit: Visit, model_id: int, shown: DeploymentHistory, words: Words) -> None:
    """The deployment's states; while something happens the part looks again by itself."""
    is_under_way = not shown.deployment.state.is_final and shown.deployment.state is not DeploymentState.SERVING

    def draw() -> None:
        history = reading.model_outlook(visit, model_id).deployment or shown
        state = history.deployment.state
        if is_under_way and (state.is_final or state is DeploymentState.SERVING):
            st.rerun()
        with st.expander(
            words("model_actions.deployment", state=words.of(state)), expanded=state is not DeploymentState.SERVING
        ):
            lines = [
                [
                    escape(words.of(step.to_state)),
                    escape(moment(step.at, words.language, seconds=True)),
                    escape("" if before is None else duration(step.at - before.at, words)),
                ]
                for before, step in zip([None, *history.transitions], history.transitions, strict=False)
            ]
            header = [words(f"model_actions.{name}") for name in ("state", "at", "took")]
            parts.html(parts.rows(header, lines))
            if history.deployment.failure is not None:
                parts.error_parts(history.deployment.failure, words("model_actions.failed"), words)

    st.fragment(lambda: parts.guarded(draw, words), run_every=DEPLOYMENT_SECONDS if is_under_way else None)()
