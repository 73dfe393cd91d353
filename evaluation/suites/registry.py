"""Every kind of suite and how it is run."""

from contracts.enums import SuiteKind
from contracts.errors import InvalidRequestError
from evaluation.suites.cases import run_cases, served_conditions
from evaluation.suites.harness import check_harness, harness_conditions, run_harness
from evaluation.suites.kind import SuiteType
from evaluation.suites.perplexity import check_perplexity, perplexity_conditions, run_perplexity
from evaluation.suites.safety import check_safety, run_safety, safety_conditions

SUITE_KINDS: dict[SuiteKind, SuiteType] = {
    SuiteKind.CASES: SuiteType(run_cases, served_conditions),
    SuiteKind.SAFETY: SuiteType(run_safety, safety_conditions, check=check_safety),
    SuiteKind.HARNESS: SuiteType(run_harness, harness_conditions, needs_server=False, check=check_harness),
    SuiteKind.PERPLEXITY: SuiteType(run_perplexity, perplexity_conditions, needs_server=False, check=check_perplexity),
}


def suite_type(kind: SuiteKind) -> SuiteType:
    """How suites of that kind are run. Raises InvalidRequestError where nobody knows."""
    found = SUITE_KINDS.get(kind)
    if found is None:
        raise InvalidRequestError(
            "Suites of this kind cannot be run here",
            value=kind.value,
            allowed=", ".join(known.value for known in SUITE_KINDS),
            next_step="name another suite",
        )
    return found
