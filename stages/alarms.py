"""The alarms of monitoring/alerts.yml, told without Prometheus: the same rules, read from the services' own metrics.

Rules that need the past (rates, increases) are Prometheus' alone.
"""

from __future__ import annotations

import operator
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from settings import Settings

RULES = "monitoring/alerts.yml"
ANSWER_SECONDS = 10.0
_SIMPLE = re.compile(r"^([a-z_]+) (==|<|>) (?:([0-9.]+)|(?:([0-9.]+) \* )([a-z_]+))$")
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
_COMPARE = {"==": operator.eq, "<": operator.lt, ">": operator.gt}

Labels = tuple[tuple[str, str], ...]
Samples = Mapping[str, Mapping[Labels, float]]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule that holds now."""

    name: str
    summary: str
    runbook: str
    """The page that says what to do, from the repository's root."""
    is_critical: bool


def alarms_now(settings: Settings, language: str, seconds: float = ANSWER_SECONDS) -> list[Alarm] | None:
    """What is wrong by the rules that can be told at a glance; None where no service answers within `seconds`."""
    texts = [
        _fetched(f"{url}/metrics", seconds) for url in (settings.resolved_runner_url, settings.resolved_serving_url)
    ]
    if not any(texts):
        return None
    return alarms_of(
        rules_in(settings.repository_root), read_samples("\n".join(text or "" for text in texts)), language
    )


def rules_in(root: Path) -> list[dict[str, Any]]:
    """Every rule of the file."""
    groups = yaml.safe_load((root / RULES).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alarms_of(rules: list[dict[str, Any]], samples: Samples, language: str) -> list[Alarm]:
    """The rules that hold for these samples, once for each set of labels."""
    found = []
    for rule in rules:
        match = _SIMPLE.match(rule["expr"])
        if match is None:
            continue
        metric, comparison, number, factor, other = match.groups()
        for labels, value in samples.get(metric, {}).items():
            bound = float(number) if number else float(factor) * samples.get(other, {}).get(labels, float("nan"))
            if _COMPARE[comparison](value, bound):
                found.append(_alarm(rule, labels, language))
    return found


def what_to_do(runbook: str, root: Path, language: str) -> str:
    """The page of an alarm in one language, as Markdown without its title."""
    page = (root / runbook).read_text(encoding="utf-8")
    korean, _, english = page.partition("## 한국어\n")[2].partition("## English\n")
    return (korean if language == "ko" else english).strip()


def read_samples(text: str) -> dict[str, dict[Labels, float]]:
    """Values by name and labels, of Prometheus' text format."""
    samples: dict[str, dict[Labels, float]] = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.match(line)
        if match is not None:
            labels = tuple(sorted((name, value) for name, value in _LABEL.findall(match[2] or "")))
            samples.setdefault(match[1], {})[labels] = float(match[3])
    return samples


def _alarm(rule: Mapping[str, Any], labels: Labels, language: str) -> Alarm:
    is_critical = rule["labels"]["severity"] == "critical"
    return Alarm(rule["alert"], _summary(rule, labels, language), rule["annotations"]["runbook"], is_critical)


def _summary(rule: Mapping[str, Any], labels: Labels, language: str) -> str:
    korean, _, english = str(rule["annotations"]["summary"]).partition(" / ")
    said = korean if language == "ko" else english
    return re.sub(r"\{\{ \$labels\.([a-z_]+) \}\}", lambda match: dict(labels).get(match[1], "?"), said)


def _fetched(url: str, seconds: float) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:  # noqa: S310 - our own services
            return str(response.read().decode())
    except (urllib.error.URLError, OSError):
        return None
