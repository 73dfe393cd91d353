"""The answer says a number, in its unit or one that converts to it, within a tolerance."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from contracts.enums import CaseFault
from contracts.evaluation import TestCase
from evaluation.scorers.quantities import Quantity, canonical_unit, folded, in_range, is_denied, quantities, units
from evaluation.scorers.score import RIGHT, WRONG, Score, unusable

OPTIONS = ("tolerance", "relative_tolerance", "unit", "which")
ANY, FIRST, LAST, ONLY = "any", "first", "last", "only"
_WHICH = (ANY, FIRST, LAST, ONLY)


def number(case: TestCase, answer: str) -> Score:
    """1 where the answer's number lies within the tolerance of an accepted one.

    Taken are numbers of the same kind of unit, and a bare one where the answer has no other number. A number that is
    denied (`3일이 아니라`) or one end of a range (`3~5일`) is not taken. `which` chooses among several.
    """
    text = folded(answer)
    said = [found for found in joined(quantities(text)) if not is_denied(text, found) and not in_range(text, found)]
    nearest = ""
    for wanted in _accepted(case):
        chosen = _chosen(said, wanted, str(case.options.get("which", ANY)))
        if any(abs(_size(found, wanted) - wanted.size) <= _tolerance(case, wanted) for found in chosen):
            return RIGHT
        if chosen:
            nearest = f"읽은 수: {', '.join(text[found.start : found.end] for found in chosen)}"
    return Score(0.0, nearest) if nearest else WRONG


def check_number(case: TestCase) -> None:
    """Raises InvalidDataError for an accepted answer that is not one number, and for options that cannot be."""
    for name in ("tolerance", "relative_tolerance"):
        value = case.options.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise unusable(case, CaseFault.WRONG_OPTION, value=f"{name} = {value}", allowed="a number of at least 0")
    if case.options.get("which", ANY) not in _WHICH:
        raise unusable(
            case, CaseFault.WRONG_OPTION, value=f"which = {case.options['which']}", allowed=", ".join(_WHICH)
        )
    unit = case.options.get("unit")
    if unit is not None and (not isinstance(unit, str) or canonical_unit(unit) is None):
        raise unusable(case, CaseFault.UNKNOWN_UNIT, value=unit, allowed=", ".join(units()))
    for accepted in case.accepted_answers:
        found = joined(quantities(folded(accepted)))
        if len(found) != 1:
            raise unusable(case, CaseFault.NOT_A_NUMBER, value=accepted, allowed="15,000원, 3.5%, 30일 ...")


def joined(found: Sequence[Quantity]) -> list[Quantity]:
    """Quantities that make one: `1시간 30분` is 90 minutes, `1년 6개월` is 18 months."""
    result: list[Quantity] = []
    for quantity in found:
        before = result[-1] if result else None
        if (
            before is not None
            and before.kind in {"time", "months"}
            and quantity.kind == before.kind
            and quantity.start - before.end <= 1
            and 0 <= quantity.size < before.size
            and _unit_size(quantity) < _unit_size(before)
        ):
            total = (before.size + quantity.size) / _unit_size(quantity)
            result[-1] = Quantity(before.start, quantity.end, total, quantity.unit)
        else:
            result.append(quantity)
    return result


def _unit_size(quantity: Quantity) -> Fraction:
    return Quantity(0, 0, Fraction(1), quantity.unit).size


def _accepted(case: TestCase) -> Iterator[Quantity]:
    given = case.options.get("unit")
    unit = canonical_unit(given) if isinstance(given, str) else None
    for accepted in case.accepted_answers:
        for quantity in joined(quantities(folded(accepted)))[:1]:
            bare = not quantity.unit and unit is not None
            yield Quantity(quantity.start, quantity.end, quantity.value, unit or "") if bare else quantity


def _chosen(said: Sequence[Quantity], wanted: Quantity, which: str) -> Sequence[Quantity]:
    of_the_kind = [found for found in said if found.kind == wanted.kind]
    if not of_the_kind and len(said) == 1 and not said[0].unit:
        of_the_kind = list(said)
    if which == FIRST:
        return of_the_kind[:1]
    if which == LAST:
        return of_the_kind[-1:]
    if which == ONLY and len({found.size for found in of_the_kind}) > 1:
        return []
    return of_the_kind


def _size(found: Quantity, wanted: Quantity) -> Fraction:
    """In the smallest unit of the wanted kind; a bare number is in the wanted unit."""
    return found.size if found.unit == wanted.unit or found.unit else found.value * _unit_size(wanted)


def _tolerance(case: TestCase, wanted: Quantity) -> Fraction:
    """The larger of both, the absolute one in the wanted unit. Decimal notation is meant exactly: 0.1 is a tenth."""
    absolute = Fraction(str(case.options.get("tolerance", 0))) * _unit_size(wanted)
    relative = Fraction(str(case.options.get("relative_tolerance", 0))) * abs(wanted.size)
    return max(absolute, relative)
