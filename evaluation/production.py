"""The candidate against the version in production, case by case."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.evaluation import CategoryComparison, ProductionComparison
from evaluation.statistics import mcnemar_exact, sign_test_worse

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """The candidate's answer to one case."""

    category: str
    correct: bool


def compare_with_production(
    model_id: int,
    title: str,
    production: Mapping[str, bool],
    candidate: Mapping[str, Outcome],
    *,
    max_category_drop: float,
) -> ProductionComparison:
    """Exact McNemar test over the cases that both answered, and a one-sided sign test within each category.

    A category has regressed where it fell by more than `max_category_drop` and the sign test's p value, multiplied by the
    number of categories that fell (Bonferroni), is below 0.05.
    """
    shared = [case for case in candidate if case in production]
    won = [case for case in shared if candidate[case].correct and not production[case]]
    lost = [case for case in shared if production[case] and not candidate[case].correct]
    return ProductionComparison(
        model_id=model_id,
        title=title,
        n=len(shared),
        production=_share(sum(production[case] for case in shared), len(shared)),
        candidate=_share(sum(candidate[case].correct for case in shared), len(shared)),
        won_cases=won,
        lost_cases=lost,
        mcnemar_p=mcnemar_exact(len(won), len(lost)),
        categories=_categories(shared, production, candidate, max_category_drop),
    )


def _categories(
    shared: list[str],
    production: Mapping[str, bool],
    candidate: Mapping[str, Outcome],
    max_category_drop: float,
) -> list[CategoryComparison]:
    cases_of: dict[str, list[str]] = {}
    for case in shared:
        cases_of.setdefault(candidate[case].category, []).append(case)
    counted = [
        (
            category,
            cases,
            sum(candidate[case].correct and not production[case] for case in cases),
            sum(production[case] and not candidate[case].correct for case in cases),
        )
        for category, cases in sorted(cases_of.items())
    ]
    fallen = sum(lost > won for _, _, won, lost in counted)
    compared = []
    for category, cases, won, lost in counted:
        p_value = sign_test_worse(won, lost)
        compared.append(
            CategoryComparison(
                category=category,
                n=len(cases),
                production=_share(sum(production[case] for case in cases), len(cases)),
                candidate=_share(sum(candidate[case].correct for case in cases), len(cases)),
                won=won,
                lost=lost,
                p_value=p_value,
                regressed=(lost - won) / len(cases) > max_category_drop + 1e-12
                and p_value * max(1, fallen) < SIGNIFICANT,
            )
        )
    return compared


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
