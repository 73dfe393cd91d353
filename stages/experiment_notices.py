"""What people are told of an A/B test, in Korean and English."""

from collections.abc import Mapping

from contracts.arms import DropCause, arm_label
from contracts.enums import DecisionCause
from contracts.experiment_decisions import ExperimentDecision
from contracts.experiments import ABExperiment
from contracts.record import JsonObject

Cause = tuple[str, str]
"""A sentence in Korean and in English."""
STOPPED_BY_PERSON: Cause = ("담당자가 중지했습니다.", "A person has stopped it.")


def stopped_by_rollback(model_name: str, reason: str) -> Cause:
    """Production went back to the version before."""
    return (
        f"모델 {model_name}을(를) 이전 버전으로 되돌렸습니다: {reason}",
        f"The model {model_name} was rolled back: {reason}",
    )


def stopped_for(experiment_name: str) -> Cause:
    """A new test needed its users."""
    return (
        f"새 A/B 테스트 {experiment_name}에 사용자를 내주었습니다.",
        f"It made room for the A/B test {experiment_name}.",
    )


_TITLES: dict[str, tuple[str, str]] = {
    "decided": ("A/B 테스트 {name}: 결론이 났습니다", "A/B test {name} has decided"),
    "needs_answer": ("A/B 테스트 {name}: 승인이 필요합니다", "A/B test {name} needs your answer"),
    "sample_ratio": (
        "A/B 테스트 {name}: 배정 비율 이상",
        "A/B test {name}: users do not fall into the arms as planned",
    ),
    "blocked": ("A/B 테스트 {name}: 결론을 실행하지 못했습니다", "A/B test {name}: the decision cannot be carried out"),
    "concluded": ("A/B 테스트 {name}: 끝났습니다", "A/B test {name} has ended"),
    "stopped": ("A/B 테스트 {name}: 중지했습니다", "A/B test {name} was stopped"),
    "dropped": ("A/B 테스트 {name}: {arm}을(를) 뺐습니다", "A/B test {name} has dropped {arm}"),
    "losing": ("A/B 테스트 {name}: {arm}이(가) 지고 있습니다", "A/B test {name}: {arm} is losing"),
}
_KEPT = ("현재 모델({arm})이 계속 서비스합니다.", "The present model ({arm}) keeps the traffic.")
_TAKES_OVER = ("새 모델({arm})이 서비스를 맡습니다.", "The new model ({arm}) takes the traffic.")
_NO_WINNER = (
    "승자가 없어 현재 모델({arm})이 계속 서비스합니다.",
    "Nobody has won; the present model ({arm}) keeps the traffic.",
)
_DROP_CAUSES: dict[DropCause, tuple[str, str]] = {
    DropCause.WORSE: (
        "현재 모델보다 나쁘다는 것이 확인되었습니다.",
        "It is shown to be worse than the present model.",
    ),
    DropCause.GUARDRAIL: ("안전장치를 어겼습니다: {guardrails}.", "It has breached a guardrail: {guardrails}."),
    DropCause.PERSON: ("담당자가 정했습니다: {actor}.", "A person has decided: {actor}."),
}
_MOVED = (
    "이 모델을 쓰던 사용자만 나머지 모델로 옮기고, 테스트는 계속합니다.",
    "Only its users move to the other models; the test goes on.",
)
_ASK_TO_DROP = (
    "빼려면 `tuneway ab drop {name} {arm} --reason …`을 실행하십시오.",
    "Drop it with `tuneway ab drop {name} {arm} --reason …`.",
)
_CAUSES: dict[DecisionCause, tuple[str, str]] = {
    DecisionCause.VERDICT: ("판정에 따른 것입니다.", "The verdict says so."),
    DecisionCause.GUARDRAIL: (
        "새 모델이 안전장치를 어겼습니다: {guardrails}.",
        "The new model has breached a guardrail: {guardrails}.",
    ),
    DecisionCause.SCHEDULE: (
        "판정이 나기 전에 정해진 종료 시각이 되었습니다.",
        "Its planned end came before it could be decided.",
    ),
    DecisionCause.PERSON: ("담당자가 정했습니다: {actor}.", "A person has decided: {actor}."),
}
_ASK = (
    "Airflow의 승인 화면, 대시보드 또는 `tuneway ab conclude {name}`에서 답하십시오.",
    "Answer in Airflow's approval page, or with `tuneway ab conclude {name}`.",
)
_HELD = (
    "배정과 기록 사이에서 사용자가 빠지고 있습니다. 원인을 찾을 때까지 판정을 보류합니다.",
    "Something between assignment and record loses users. No verdict is taken until a person has looked into it.",
)


def decided_notice(experiment: ABExperiment, decision: ExperimentDecision, *, needs_answer: bool) -> JsonObject:
    """A decision has been taken; whether a person is asked."""
    lines = [_outcome(experiment, decision.winner), _CAUSES[decision.cause], *([_ASK] if needs_answer else [])]
    return _notice("needs_answer" if needs_answer else "decided", experiment, lines, decision)


def concluded_notice(experiment: ABExperiment, decision: ExperimentDecision) -> JsonObject:
    """The decision is carried out."""
    lines = [_outcome(experiment, decision.chosen), _CAUSES[_last_cause(decision)]]
    return _notice("concluded", experiment, lines, decision)


def blocked_notice(experiment: ABExperiment, decision: ExperimentDecision, sentence: str) -> JsonObject:
    """The decision stands and cannot be carried out."""
    return _notice("blocked", experiment, [(sentence, sentence), _ASK], decision)


def held_notice(experiment: ABExperiment) -> JsonObject:
    """The sample ratio is wrong."""
    return _notice("sample_ratio", experiment, [_HELD], None)


def stopped_notice(experiment: ABExperiment, cause: Cause) -> JsonObject:
    """The test was stopped without a decision."""
    return _notice("stopped", experiment, [cause], None)


def dropped_notice(
    experiment: ABExperiment, arm: str, cause: DropCause, guardrails: list[str], actor: str
) -> JsonObject:
    """An arm gets no more users."""
    values = {"arm": arm_label(arm), "guardrails": ", ".join(guardrails), "actor": actor}
    return _notice("dropped", experiment, [_DROP_CAUSES[cause], _MOVED], None, values)


def losing_notice(experiment: ABExperiment, arm: str, cause: DropCause, guardrails: list[str]) -> JsonObject:
    """An arm is worse or does harm, in a test that a person drops arms from."""
    values = {"arm": arm, "guardrails": ", ".join(guardrails)}
    return _notice("losing", experiment, [_DROP_CAUSES[cause], _ASK_TO_DROP], None, values)


def _outcome(experiment: ABExperiment, winner: str | None) -> Cause:
    control = experiment.control.name
    if winner is None:
        told, arm = _NO_WINNER, control
    else:
        told, arm = (_KEPT if winner == control else _TAKES_OVER), winner
    return told[0].format(arm=arm_label(arm)), told[1].format(arm=arm_label(arm))


def _last_cause(decision: ExperimentDecision) -> DecisionCause:
    return decision.cause if decision.answer is None else DecisionCause.PERSON


def _notice(
    event: str,
    experiment: ABExperiment,
    lines: list[tuple[str, str]],
    decision: ExperimentDecision | None,
    more: Mapping[str, str] | None = None,
) -> JsonObject:
    values = {
        "name": experiment.experiment_name,
        "guardrails": "" if decision is None else ", ".join(decision.guardrails),
        "actor": "" if decision is None else decision.decided_by,
        **(more or {}),
    }
    told = {}
    for place, language in enumerate(("ko", "en")):
        told[f"title_{language}"] = _TITLES[event][place].format(**values)
        told[f"text_{language}"] = " ".join(
            [told[f"title_{language}"] + ".", *(line[place].format(**values) for line in lines)]
        )
    return {
        **told,
        "experiment": experiment.model_dump(mode="json"),
        "decision": None if decision is None else decision.model_dump(mode="json"),
    }
