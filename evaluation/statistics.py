"""Intervals and tests for right and wrong answers: counts in, numbers out."""

from math import copysign, inf, sqrt

from contracts.evaluation import Interval

Z_95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""
Z_95_ONE_SIDED = 1.6448536269514722
"""95 % quantile of the standard normal distribution."""
MAX_CASES_PLANNED = 1_000_000
"""Beyond this many test cases nobody writes more; the question is then said to be undecidable."""


def wilson_interval(correct: int, n: int) -> Interval:
    """Two-sided 95 % score interval of a proportion (Wilson 1927). Without cases it is the whole unit interval."""
    if n == 0:
        return Interval(lower=0.0, upper=1.0)
    proportion = correct / n
    denominator = 1 + Z_95**2 / n
    centre = (proportion + Z_95**2 / (2 * n)) / denominator
    half_width = Z_95 * sqrt(proportion * (1 - proportion) / n + Z_95**2 / (4 * n**2)) / denominator
    lower = 0.0 if correct == 0 else max(0.0, centre - half_width)
    upper = 1.0 if correct == n else min(1.0, centre + half_width)
    return Interval(lower=lower, upper=upper)


def _score_bound(correct: int, n: int, z: float) -> float:
    """The bound of the score test on the side of z's sign (Wilson 1927)."""
    proportion = correct / n
    centre = proportion + z**2 / (2 * n)
    return (centre + z * sqrt(proportion * (1 - proportion) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)


def lower_bound(correct: int, n: int) -> float:
    """One-sided 95 % score bound: the smallest true accuracy that a one-sided score test at 5 % does not refuse.

    187 right of 200 are the fewest above 0.90. A model of exactly that accuracy gets them in 5.7 % of all cases, not in
    5.0 %: the test is nearly exact, and less strict than the exact one (`exact_lower_bound`, 188).
    """
    return 0.0 if correct == 0 else max(0.0, _score_bound(correct, n, -Z_95_ONE_SIDED))


def upper_bound(correct: int, n: int) -> float:
    """One-sided 95 % score bound from above."""
    return 1.0 if correct == n else min(1.0, _score_bound(correct, n, Z_95_ONE_SIDED))


def exact_lower_bound(correct: int, n: int, confidence: float = 0.95) -> float:
    """One-sided bound of Clopper and Pearson (1934): never less sure than it says."""
    from scipy.stats import beta

    return 0.0 if correct == 0 else float(beta.ppf(1 - confidence, correct, n - correct + 1))


def mcnemar_exact(won: int, lost: int) -> float:
    """Two-sided exact McNemar test: the p value of `won` against `lost` under equal chances. 1 without discordant pairs."""
    from scipy.stats import binom

    discordant = won + lost
    if discordant == 0:
        return 1.0
    return min(1.0, 2 * float(binom.cdf(min(won, lost), discordant, 0.5)))


def paired_difference_interval(n: int, lost: int, won: int) -> Interval:
    """Two-sided 95 % score interval of (lost - won) / n, both counted on the same n questions (Tango 1998, eq. 7).

    It keeps its coverage where few answers differ, and has a width where none do. Without questions it is everything.
    """
    if n == 0:
        return Interval(lower=-1.0, upper=1.0, method="tango")
    observed = (lost - won) / n

    def score(difference: float) -> float:
        # the share of questions won, at its most likely for this difference
        a, b, c = 2 * n, -lost - won + (2 * n - lost + won) * difference, -won * difference * (1 - difference)
        share = (sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = n * (2 * share + difference * (1 - difference))
        gap = lost - won - n * difference
        if variance <= 0:
            return 0.0 if gap == 0 else copysign(inf, gap)
        return gap / sqrt(variance)

    def bound(inside: float, outside: float) -> float:
        for _ in range(60):  # halves below the rounding of a double
            middle = (inside + outside) / 2
            if abs(score(middle)) <= Z_95:
                inside = middle
            else:
                outside = middle
        return inside

    lower = -1.0 if abs(score(-1.0)) <= Z_95 else bound(observed, -1.0)
    upper = 1.0 if abs(score(1.0)) <= Z_95 else bound(observed, 1.0)
    return Interval(lower=lower, upper=upper, method="tango")


def sign_test_worse(won: int, lost: int) -> float:
    """One-sided exact sign test: the chance of so many lost cases or more, were won and lost as likely. 1 without pairs."""
    from scipy.stats import binom

    return float(binom.sf(lost - 1, won + lost, 0.5)) if lost else 1.0


def needed_correct(n: int, bar: float) -> int:
    """Fewest right answers out of n whose share is above the bar."""
    correct = max(0, int(bar * n) - 1)
    while not exceeds(correct, n, bar):
        correct += 1
    return correct


def exceeds(correct: int, n: int, bar: float) -> bool:
    """The share is above the bar: 181 of 200 exceeds 0.9, and 180 does not, however 0.9 is stored."""
    return n > 0 and correct / n > bar + 1e-12


def needed_for_lower_bound(n: int, bar: float) -> int | None:
    """Fewest right answers out of n whose lower bound is above the bar; None where not even n are enough."""
    low, high = 0, n + 1
    while low < high:
        middle = (low + high) // 2
        if lower_bound(middle, n) > bar:
            high = middle
        else:
            low = middle + 1
    return low if low <= n else None


def chance_of(correct: int, true_accuracy: float, n: int) -> float:
    """Chance that a model of this true accuracy gets at least so many of n independent cases right."""
    from scipy.stats import binom

    return float(binom.sf(correct - 1, n, true_accuracy))


def cases_to_decide(correct: int, n: int, bar: float) -> int | None:
    """Test cases at which the bounds would clear the bar if the share of right answers stays as it is.

    None where that needs more than a million cases, as when the share equals the bar.
    """
    share = correct / n

    def decides(cases: int) -> bool:
        right = round(share * cases)
        return lower_bound(right, cases) > bar or upper_bound(right, cases) < bar

    high = n
    while not decides(high):
        high *= 2
        if high > MAX_CASES_PLANNED:
            return None
    low = n
    while low < high:
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle + 1
    return high
