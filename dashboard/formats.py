"""Numbers, dates and durations as readers of each language write them. Times are Seoul's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dashboard.texts import Language
from registry.model_card import SHARES

if TYPE_CHECKING:
    from contracts.evaluation import Interval
    from contracts.models import ArmEndpoint, ModelVersion
    from contracts.suites import ScoreEstimate
    from dashboard.texts import Words

SEOUL = ZoneInfo("Asia/Seoul")
NOTHING = "–"
GIGABYTE = 1_000_000_000


def moment(at: datetime | None, language: Language, *, seconds: bool = False) -> str:
    """`2026. 11. 22. 14:03`, or `2026-11-22 14:03`, in Seoul."""
    if at is None:
        return NOTHING
    there = at.astimezone(SEOUL)
    clock = f"{there:%H:%M:%S}" if seconds else f"{there:%H:%M}"
    if language is Language.KOREAN:
        return f"{there.year}. {there.month}. {there.day}. {clock}"
    return f"{there:%Y-%m-%d} {clock}"


def duration(length: timedelta | float | None, words: Words) -> str:
    """The two largest units: `1시간 4분`, `3분 12초`, `8초`; below ten seconds one decimal."""
    if length is None:
        return NOTHING
    total = length.total_seconds() if isinstance(length, timedelta) else float(length)
    if total < 9.95:
        return words("unit.seconds", n=f"{max(total, 0.0):.1f}")
    whole = round(total)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [
        words(f"unit.{name}", n=count)
        for name, count in (("days", days), ("hours", hours), ("minutes", minutes), ("seconds", seconds))
    ]
    first = next(index for index, count in enumerate((days, hours, minutes, seconds)) if count)
    second = (days, hours, minutes, seconds)[first + 1 : first + 2]
    return " ".join(parts[first : first + (2 if second and second[0] else 1)])


def number(value: float | None, digits: int = 0) -> str:
    """`1,234`, or with decimals `1,234.5`."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def count(value: int, unit: str, words: Words) -> str:
    """A number with its counter: `1,234건`."""
    return words(f"unit.{unit}", n=number(value))


def percent(share: float | None, digits: int = 1) -> str:
    """`93.5 %`."""
    return NOTHING if share is None else f"{share * 100:.{digits}f} %"


def interval(bounds: Interval, digits: int = 1) -> str:
    """`89.2–96.1 %`."""
    return f"{bounds.lower * 100:.{digits}f}–{bounds.upper * 100:.{digits}f} %"


def loss(value: float | None) -> str:
    """Three significant digits below one, else three decimals."""
    if value is None:
        return NOTHING
    return f"{value:.3g}" if 0 < abs(value) < 0.1 else f"{value:.3f}"


def small(value: object) -> str:
    """A hyperparameter's value: no trailing zeros, powers of ten where short."""
    if isinstance(value, bool) or value is None:
        return NOTHING if value is None else str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def gigabytes(size_bytes: float) -> str:
    """`12.3 GB`; below a tenth of one, megabytes."""
    if size_bytes < GIGABYTE / 10:
        return f"{size_bytes / 1_000_000:,.1f} MB"
    return f"{size_bytes / GIGABYTE:,.1f} GB"


def milliseconds(value: float | None) -> str:
    """`450 ms`."""
    return NOTHING if value is None else f"{value:,.0f} ms"


def model_label(model: ModelVersion | ArmEndpoint) -> str:
    """`regulations-assistant v1`; a base model, which has no number, `demo-base (base)`."""
    return (
        f"{model.model_name} v{model.version}" if model.version.isdigit() else f"{model.model_name} ({model.version})"
    )


def score(estimate: ScoreEstimate) -> str:
    """`94.5 % (90.4–96.9 %, n = 200)`; what is no share as a number."""
    is_share = estimate.name in SHARES
    value = percent(estimate.value) if is_share else f"{estimate.value:.4g}"
    bounds = estimate.interval
    between = None
    if bounds is not None:
        between = interval(bounds) if is_share else f"{bounds.lower:.4g}–{bounds.upper:.4g}"
    return f"{value} ({'' if between is None else f'{between}, '}n = {number(estimate.n)})"
