import ast
import re
import string

import pytest

from contracts import enums
from contracts.arms import DropCause
from contracts.experiment_results import Outcome
from contracts.experiment_verdicts import ExperimentVerdict
from dashboard.reading import CaseOutcome, CurveAxis, CurveMetric, CurveSource, RunState, ServiceName
from dashboard.texts import Language, Words, section_of, table, translate
from dashboard.views.ab_design import METRICS
from dashboard.views.models import PARTS as MODEL_PARTS
from stages.ask_model import AnswerState
from tests.conftest import REPOSITORY_ROOT

MODULES = sorted((REPOSITORY_ROOT / "dashboard").rglob("*.py"))
SHOWN_SETS = [
    enums.StageStatus, enums.JobStatus, enums.JobKind, enums.JobState, enums.RemovalReason, enums.QualityCheckType,
    enums.GateDecision, enums.Metric, enums.ModelStatus, enums.ModelFormat, enums.ServerBackend, enums.Method,
    enums.Arm, enums.ExperimentStatus, enums.ExperimentPolicy, enums.StageName, enums.Split,
    enums.PersonalDataKind, enums.ProtectedAttribute,
    enums.TrialState, enums.QuestionTemplate, enums.ReviewVerdict, enums.SampleFault, enums.SuiteStatus, enums.CaseFault,
    enums.PairedOutcome, enums.DeploymentState, enums.SignatureState, enums.WatermarkVerdict,
    RunState, CaseOutcome, CurveAxis, CurveMetric, enums.SweepMetric,
]  # fmt: skip
KOREAN = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts_with_the_same_placeholders():
    korean, english = table(Language.KOREAN), table(Language.ENGLISH)
    assert len(korean) > 200
    assert korean.keys() == english.keys()
    assert {key for key in korean if fields(korean[key]) != fields(english[key])} == set()


def test_no_text_is_empty():
    assert [key for language in Language for key, text in table(language).items() if not text.strip()] == []


def test_english_texts_hold_no_korean_letter():
    assert {key: text for key, text in table(Language.ENGLISH).items() if KOREAN.search(text)} == {}


def used_keys() -> set[str]:
    """Every constant that looks like a key; the first half of a built key, ending in `_`, is not one."""
    sections = {key.partition(".")[0] for key in table(Language.KOREAN)}
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                section, dot, key = node.value.partition(".")
                if dot and section in sections and re.fullmatch(r"[a-z_0-9]*[a-z0-9]", key):
                    found.add(node.value)
    return found


def test_every_text_that_a_page_names_exists():
    used = used_keys()
    assert len(used) > 100
    assert used - table(Language.KOREAN).keys() == set()


@pytest.mark.parametrize("closed_set", SHOWN_SETS, ids=lambda closed_set: closed_set.__name__)
@pytest.mark.parametrize("language", list(Language))
def test_every_member_of_a_closed_set_has_a_word(closed_set, language):
    words = Words(language)
    assert all(words.of(member) for member in closed_set)


@pytest.mark.parametrize("language", list(Language))
def test_every_key_that_is_built_from_a_name_exists(language):
    texts = table(language)
    built = [f"overview.service_{name.value}" for name in ServiceName]
    built += [f"chart.source_{source.value}" for source in CurveSource]
    built += [f"ab_tests.arm_{arm.value}" for arm in enums.Arm]
    built += [f"ab_arms.outcome_{outcome.value}" for outcome in Outcome]
    built += [f"ab_arms.verdict_{verdict.value}" for verdict in ExperimentVerdict]
    built += [f"ab_arms.dropped_{cause.value}" for cause in DropCause]
    built += [f"ab_tests.verdict_{verdict.value}" for verdict in ExperimentVerdict]
    built += [f"ab_tests.guardrail_{name.value}" for name in enums.GuardrailName]
    built += [f"ab_design.policy_{policy.value}" for policy in enums.ExperimentPolicy]
    built += [f"ab_design.{name}{part}" for name in ("start", "end") for part in ("", "_help", "_time")]
    built += [f"ab_design.{part}{metric}" for metric in METRICS for part in ("", "effect_help_")]
    built += [f"experiments.time_in_{unit}" for unit in ("hours", "minutes", "seconds")]
    built += [f"training_objective.{objective}" for objective in ("sft", "dpo", "distill")]
    built += [f"chart.{which}" for which in ("base", "tuned")]
    built += [f"progress_stage.{stage}" for stage in ("starting", "training", "evaluating", "asking", "saving")]
    built += [
        f"unavailable.{kind}_{part}"
        for kind in ("database", "schema", "setup", "other", "not_found")
        for part in ("title", "text")
    ]
    built += [f"models.part_{part}" for part in MODEL_PARTS]
    actions = ("deploy", "promote", "roll_back", "undeploy", "archive", "restore")
    built += [f"model_actions.{action}{part}" for action in actions for part in ("", "_now")]
    built += [
        f"model_actions.{action}_{part}" for action in ("roll_back", "undeploy") for part in ("goes_on", "failed")
    ]
    built += [f"model_actions.{name}" for name in ("state", "at", "took")]
    built += [f"model_question.{state.value}" for state in AnswerState]
    built += [f"model_evaluations.from_{source}" for source in ("suite", "evaluation")]
    built += [f"overview.slot{part}_{kind}" for part in ("", "s") for kind in ("gpu", "cpu")]
    built += [
        f"{page}.title"
        for page in (
            "overview",
            "runs",
            "datasets",
            "review",
            "test_cases",
            "jobs",
            "experiments",
            "models",
            "ab_tests",
        )
    ]
    assert [key for key in built if key not in texts] == []


def test_a_section_is_the_name_of_its_set():
    assert section_of(enums.StageStatus) == "stage_status"


def test_a_text_that_does_not_exist_is_a_fault():
    with pytest.raises(KeyError):
        translate("overview.nothing_of_the_kind", Language.KOREAN)


def test_no_page_holds_korean_letters_of_its_own():
    own_name = REPOSITORY_ROOT / "dashboard" / "texts.py"
    found = [path for path in MODULES if path != own_name and KOREAN.search(_without_docstrings(path))]
    assert found == []


def _without_docstrings(path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    constants = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented
    ]
    return "\n".join(constants)
