"""What people read has words in both languages."""

import re

import pytest

from contracts import words
from contracts.audit import AuditResult
from contracts.enums import CaseFault, DeploymentState, PersonalDataKind, ProtectedAttribute, RemovalReason
from data_prep.quality.bias import GROUP_PATTERNS
from evaluation.scorers.registry import SCORERS

KOREAN = re.compile("[가-힣]")


@pytest.mark.parametrize(
    ("wordings", "members"),
    [
        (words.AUDIT_RESULTS, AuditResult),
        (words.REMOVAL_REASONS, RemovalReason),
        (words.PERSONAL_DATA_KINDS, PersonalDataKind),
        (words.PROTECTED_ATTRIBUTES, ProtectedAttribute),
        (words.CASE_FAULTS, CaseFault),
        (words.DEPLOYMENT_STATES, DeploymentState),
        *((words.GROUPS[attribute], groups) for attribute, groups in GROUP_PATTERNS.items()),
    ],
)
def test_every_member_has_words_in_both_languages(wordings, members):
    assert set(wordings) == set(members)
    for wording in wordings.values():
        assert KOREAN.search(wording.of("ko"))
        assert wording.of("en") and not KOREAN.search(wording.of("en"))


def test_every_scorer_that_has_a_name_is_explained():
    assert set(words.SCORERS) == set(words.SCORER_EXPLANATIONS) >= set(SCORERS)
    for wording in words.SCORER_EXPLANATIONS.values():
        assert KOREAN.search(wording.of("ko"))
        assert not KOREAN.search(wording.of("en"))


@pytest.mark.parametrize(
    ("p", "text", "said"),
    [
        (0.0, "< 0.001", "p < 0.001"),
        (0.0009, "< 0.001", "p < 0.001"),
        (0.001, "0.001", "p = 0.001"),
        (0.0416, "0.042", "p = 0.042"),
        (1.0, "1.000", "p = 1.000"),
    ],
)
def test_no_p_is_shown_as_none(p, text, said):
    assert (words.p_text(p), words.significance(p)) == (text, said)
