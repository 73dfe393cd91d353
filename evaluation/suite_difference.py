"""What changed between two versions of a test suite."""

from collections.abc import Sequence

from contracts.evaluation import TestCase
from contracts.suite_versions import ChangedCase, SuiteDifference
from contracts.suites import SuiteVersion


def suite_difference(
    before: SuiteVersion, after: SuiteVersion, cases_before: Sequence[TestCase], cases_after: Sequence[TestCase]
) -> SuiteDifference:
    """Cases added, removed and changed, by their ids, each in the order of its version."""
    old = {case.id: case for case in cases_before}
    new = {case.id: case for case in cases_after}
    changed = [
        ChangedCase(case_id=case.id, before=old[case.id], after=case, fields=changed_fields(old[case.id], case))
        for case in cases_after
        if case.id in old and old[case.id] != case
    ]
    added = [case for case in cases_after if case.id not in old]
    return SuiteDifference(
        before=before,
        after=after,
        added=added,
        removed=[case for case in cases_before if case.id not in new],
        changed=changed,
        same=len(new) - len(added) - len(changed),
    )


def changed_fields(before: TestCase, after: TestCase) -> list[str]:
    """Names of the fields in which two cases differ."""
    return [name for name in TestCase.model_fields if getattr(before, name) != getattr(after, name)]
