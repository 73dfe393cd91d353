"""A picture of an evaluation: both models' accuracy by category."""

from pathlib import Path
from typing import Any

from contracts.evaluation import EvaluationReport, SuiteReport

KOREAN_FONTS = ("Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "NanumBarunGothic", "Malgun Gothic", "AppleGothic")
_KOREAN = {
    "title": "{name}: 정확도 (문항 {n}개)",
    "all": "전체",
    "base": "기반 모델",
    "tuned": "학습한 모델",
    "axis": "정확도 (%)",
}
_ENGLISH = {
    "title": "{name}: accuracy ({n} questions)",
    "all": "all",
    "base": "base model",
    "tuned": "tuned model",
    "axis": "accuracy (%)",
}
FEWEST_GROUPS = 5
"""Room for so many groups of bars at least: a single one must not fill the width."""
MOST_UPRIGHT_LABELS = 8
_BASE_COLOUR, _TUNED_COLOUR = "#9aa5b1", "#1f6feb"


def _korean_font() -> str | None:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((font for font in KOREAN_FONTS if font in installed), None)


def _draw_suite(axes: Any, suite: SuiteReport, words: dict[str, str], may_write_korean: bool) -> None:
    # a single category says the same as all cases together
    categories = list(suite.tuned.by_category) if len(suite.tuned.by_category) > 1 else []
    labels = [words["all"]] + [
        category if may_write_korean or category.isascii() else f"category {number}"
        for number, category in enumerate(categories, start=1)
    ]
    width = 0.38
    for offset, accuracy, word, colour in (
        (-width / 2, suite.base, "base", _BASE_COLOUR),
        (width / 2, suite.tuned, "tuned", _TUNED_COLOUR),
    ):
        heights = [accuracy.accuracy * 100] + [accuracy.by_category[category] * 100 for category in categories]
        places = [position + offset for position in range(len(labels))]
        axes.bar(places, heights, width, label=words[word], color=colour)
        spread = [
            [(accuracy.accuracy - accuracy.interval.lower) * 100],
            [(accuracy.interval.upper - accuracy.accuracy) * 100],
        ]
        axes.errorbar(places[:1], heights[:1], yerr=spread, fmt="none", ecolor="#24292f", capsize=4)
        # above the interval where there is one, so that number and line do not cross
        tops = [accuracy.interval.upper * 100, *heights[1:]]
        for place, height, top in zip(places, heights, tops, strict=True):
            label = f"{height:.1f}" if place == places[0] else f"{height:.0f}"
            axes.annotate(
                label, (place, top), ha="center", va="bottom", fontsize=8, xytext=(0, 2), textcoords="offset points"
            )
    name = suite.name if may_write_korean or suite.name.isascii() else "suite"
    axes.set_title(words["title"].format(name=name, n=suite.tuned.n), fontsize=11)
    axes.set_xticks(range(len(labels)), labels, rotation=20 if len(labels) > MOST_UPRIGHT_LABELS else 0)
    axes.set_xlim(-0.6, max(len(labels), FEWEST_GROUPS) - 0.4)
    axes.set_ylim(0, 115)
    axes.set_ylabel(words["axis"])
    axes.spines[["top", "right"]].set_visible(False)


def draw_comparison(report: EvaluationReport, path: Path) -> None:
    """Write a PNG with one row a suite: base beside tuned, over all cases (with 95 % interval) and by category.

    Labels are Korean where a Korean font is installed, else English.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    font = _korean_font()
    words = _KOREAN if font else _ENGLISH
    suites = [report.main, *report.extras]
    with rc_context({"font.family": [font] if font else ["DejaVu Sans"], "axes.unicode_minus": False}):
        figure = Figure(figsize=(9, 3.2 * len(suites)), layout="constrained")
        for row, suite in enumerate(suites, start=1):
            axes = figure.add_subplot(len(suites), 1, row)
            _draw_suite(axes, suite, words, may_write_korean=font is not None)
            if row == 1:
                axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=120)
