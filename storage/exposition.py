"""Prometheus' text format (version 0.0.4) for values that are read when they are asked for."""

from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Readings:
    """Gauges of one scrape, each of a family that was named beforehand."""

    def __init__(self, families: Mapping[str, str]) -> None:
        """`families`: what each metric is, by its name."""
        self._families = families
        self._samples: dict[str, list[str]] = {name: [] for name in families}

    def add(self, name: str, value: float, **labels: str | int) -> None:
        """One value of a family. Raises KeyError for one that was not named."""
        told = ",".join(f'{label}="{_escaped(str(given))}"' for label, given in labels.items())
        self._samples[name].append(f"{name}{{{told}}} {value:.10g}" if told else f"{name} {value:.10g}")

    def text(self) -> str:
        """All families that have a value."""
        lines: list[str] = []
        for name, samples in self._samples.items():
            if samples:
                lines += [f"# HELP {name} {self._families[name]}", f"# TYPE {name} gauge", *samples]
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
