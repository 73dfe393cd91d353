"""The answer matches a regular expression (RE2: linear in the answer's length, whatever the pattern)."""

import unicodedata
from functools import lru_cache
from typing import Any

from contracts.enums import CaseFault
from contracts.evaluation import TestCase
from evaluation.scorers.score import RIGHT, WRONG, Score, unusable

OPTIONS = ("pattern", "whole", "ignore_case")


def regex(case: TestCase, answer: str) -> Score:
    """1 where the pattern is found in the answer; with the option `whole`, where it is the whole answer."""
    pattern = _compiled(case)
    text = unicodedata.normalize("NFC", answer)
    match = pattern.fullmatch(text) if case.options.get("whole") else pattern.search(text)
    return RIGHT if match is not None else WRONG


def check_pattern(case: TestCase) -> None:
    """Raises InvalidDataError for a pattern that is missing or cannot be read, and for options of another kind."""
    if not isinstance(case.options.get("pattern"), str) or not case.options["pattern"]:
        raise unusable(case, CaseFault.WRONG_PATTERN, value=case.options.get("pattern"), allowed="a pattern")
    for name in ("whole", "ignore_case"):
        if not isinstance(case.options.get(name, False), bool):
            raise unusable(case, CaseFault.WRONG_OPTION, value=f"{name} = {case.options[name]}", allowed="true, false")
    import re2

    try:
        _compiled(case)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise unusable(
            case, CaseFault.WRONG_PATTERN, value=f"{case.options['pattern']} ({reason})", allowed="RE2 syntax"
        ) from error


def _compiled(case: TestCase) -> Any:
    return _compile(
        unicodedata.normalize("NFC", str(case.options.get("pattern", ""))), bool(case.options.get("ignore_case"))
    )


@lru_cache(maxsize=1024)
def _compile(pattern: str, ignore_case: bool) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    return re2.compile(pattern, options)
