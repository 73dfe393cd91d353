"""What the data path counts, for Prometheus: plain numbers on the path, text when it is asked for."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from contracts.enums import AnswerStatus
from serving_api.upstream import ModelServer

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_OVERHEAD_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0)
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Histogram:
    """Counts by upper bound, and a sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """As Prometheus reads it: each bucket holds all that is not larger."""
        so_far = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            so_far += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {so_far}'
        yield f"{name}_sum{{{labels}}} {self._sum:.9g}"
        yield f"{name}_count{{{labels}}} {so_far}"


_HISTOGRAMS = {
    "first_token_seconds": ("From the question to the first piece of a streamed answer.", _SECONDS),
    "token_seconds": ("Of a streamed answer: mean time between two pieces.", _TOKEN_SECONDS),
    "answer_seconds": ("From the question to the end of its answer.", _SECONDS),
    "overhead_seconds": ("Of that, what the model server did not take.", _OVERHEAD_SECONDS),
}


class ArmMetrics:
    """One model version in one arm, or outside of any."""

    __slots__ = ("answer", "answers", "first_token", "in_flight", "overhead", "token")

    def __init__(self) -> None:
        self.in_flight = 0
        self.answers = dict.fromkeys(AnswerStatus, 0)
        self.first_token, self.token, self.answer, self.overhead = (
            Histogram(bounds) for _, bounds in _HISTOGRAMS.values()
        )

    def ended(
        self, status: AnswerStatus, *, total_s: float, upstream_s: float, first_s: float | None, answer: bytes
    ) -> None:
        """An answer ended, one way or another; times since it was asked, and in the model server."""
        self.in_flight -= 1
        self.answers[status] += 1
        if status is not AnswerStatus.COMPLETE:
            return
        self.answer.observe(total_s)
        self.overhead.observe(total_s - upstream_s)
        if first_s is not None:
            self.first_token.observe(first_s)
            pieces = answer.count(b"data:")
            if pieces > 1:
                self.token.observe((total_s - first_s) / (pieces - 1))

    def histograms(self) -> Iterable[Histogram]:
        """In the order of their names."""
        return self.first_token, self.token, self.answer, self.overhead


class Metrics:
    """All arms since the process began."""

    def __init__(self) -> None:
        self._arms: dict[tuple[str | None, str], ArmMetrics] = {}

    def arm(self, arm: str | None, model: str) -> ArmMetrics:
        """Of one model in one arm."""
        found = self._arms.get((arm, model))
        if found is None:
            found = self._arms[arm, model] = ArmMetrics()
        return found

    def text(self, servers: Iterable[ModelServer], gauges: Mapping[str, float]) -> str:
        """Everything, in Prometheus' text format."""
        arms = {f'arm="{arm or "none"}",model="{model}"': found for (arm, model), found in self._arms.items()}
        lines = []
        for place, (name, (said, _)) in enumerate(_HISTOGRAMS.items()):
            lines += _head(name, "histogram", said)
            for labels, arm in arms.items():
                lines += list(arm.histograms())[place].lines(f"tuneway_{name}", labels)
        lines += _head("answers_total", "counter", "Questions that have ended, by how.")
        for labels, arm in arms.items():
            lines += [
                f'tuneway_answers_total{{{labels},status="{status.value}"}} {count}'
                for status, count in arm.answers.items()
            ]
        lines += _head("in_flight", "gauge", "Questions being answered now.")
        lines += [f"tuneway_in_flight{{{labels}}} {arm.in_flight}" for labels, arm in arms.items()]
        lines += _head("server_breaker_open", "gauge", "1 while the circuit breaker leaves a model server alone.")
        lines += [
            f'tuneway_server_breaker_open{{server="{server.base_url}"}} {int(server.is_open)}' for server in servers
        ]
        for name, value in gauges.items():
            lines += [f"# TYPE tuneway_{name} gauge", f"tuneway_{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, said: str) -> list[str]:
    return [f"# HELP tuneway_{name} {said}", f"# TYPE tuneway_{name} {kind}"]
