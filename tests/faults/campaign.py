"""The campaign: waves of pipelines, each with a fault of its seed, judged by what must hold afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.pipeline import ExitCode
from tests.conftest import REPOSITORY_ROOT
from tests.faults.checks import violations
from tests.faults.faults import Striking
from tests.faults.site import Site
from tests.faults.traffic import Traffic

CASES = 8
ROWS = 400
ENDS_GREEN = (ExitCode.PASSED, ExitCode.BELOW_BAR)
RUN_SECONDS = 1800
"""Only ends a run that hangs: an undisturbed one took 8 min on a machine at load 8."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed."""

    seed: int
    fault: str
    stage: str
    did: str
    state: str
    """green, or red with the first sentence of the error."""
    seconds: float
    violations: list[str]

    @property
    def held(self) -> bool:
        """Everything is as it must be."""
        return not self.violations

    def as_json(self) -> str:
        """One line of the campaign's record."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(slots=True)
class Campaign:
    """One platform, its users, and the runs that are disturbed on it."""

    site: Site
    folder: Path
    request: dict[str, Any]
    """What each run asks for, but for its names."""
    traffic: Traffic
    weights: str = ""
    """SHA-256 of the weights that every run must arrive at, however it was disturbed: the undisturbed one's."""

    @classmethod
    def begin(cls, site: Site, folder: Path) -> Campaign:
        """Runs from files to an A/B test. An undisturbed one puts the first model into service; then the users come."""
        request = {
            "input_files": ["demo/data/base_replay.jsonl"],
            "max_rows": ROWS,
            "split_unit": "question",
            **_short(site),
            "num_epochs": 3,
            # what the base knows: the gate can be passed
            "accuracy_bar": 0.3,
            "model_name": "faults-assistant",
        }
        campaign = cls(site, folder, request, Traffic(site))
        said, code = campaign.finish(campaign.start("undisturbed"))
        assert code == 0, f"the undisturbed run did not pass: {said}"
        campaign.weights = str(site.installation.summary("undisturbed")["weights_sha256"])
        campaign.traffic.start()
        return campaign

    def start(self, run_id: str) -> Any:
        """Trigger a run."""
        return self.site.installation.trigger(run_id, {**self.request, "dataset_name": run_id}, self.folder)

    def finish(self, waiting: Any) -> tuple[dict[str, Any], int]:
        """What `tuneway pipeline trigger --wait` says at the end, and its exit code."""
        out, err = waiting.communicate(timeout=RUN_SECONDS)
        try:
            value: dict[str, Any] = json.loads(out)
        except json.JSONDecodeError:
            value = {"state": "unknown", "failed_tasks": {"trigger": err or out}}
        return value, int(waiting.returncode)

    def run(self, seeds: Sequence[int], at_once: int) -> Iterator[Outcome]:
        """The seeds in waves, a line told each as it ends; then the users go."""
        try:
            for begin in range(0, len(seeds), at_once):
                for outcome in self.wave(seeds[begin : begin + at_once]):
                    print(outcome.as_json(), flush=True)
                    yield outcome
        finally:
            self.traffic.stop()

    def wave(self, seeds: Sequence[int]) -> Iterator[Outcome]:
        """So many runs at once, each with its seed's fault; then a look at everything."""
        began = time.monotonic()
        runs = {seed: f"seed-{seed}" for seed in seeds}
        strikes = {seed: Striking(self.site, seed, run_id) for seed, run_id in runs.items()}
        waiting = {seed: self.start(run_id) for seed, run_id in runs.items()}
        for strike in strikes.values():
            strike.start()
        ended = {}
        for seed, process in waiting.items():
            ended[seed] = self.finish(process)
            strikes[seed].run_has_ended.set()
        seconds = time.monotonic() - began
        for strike in strikes.values():
            strike.join(timeout=RUN_SECONDS)
            if strike.mend is not None:
                strike.mend()
        # one's fault can be the other's reason: they share the platform
        reasons = [reason for strike in strikes.values() for reason in strike.fault.reasons]
        found = list(violations(self.site, self.traffic))
        for seed, strike in strikes.items():
            said, code = ended[seed]
            state, wrong = self._judged(runs[seed], said, code, reasons)
            if strike.error is not None:
                wrong = [*wrong, f"the fault itself failed: {strike.error!r}"]
            yield Outcome(
                seed=seed,
                fault=strike.fault.name,
                stage=strike.moment.stage,
                did=strike.did,
                state=state,
                seconds=round(seconds, 1),
                violations=[*wrong, *found],
            )

    def _judged(self, run_id: str, said: dict[str, Any], code: int, reasons: list[str]) -> tuple[str, list[str]]:
        """How a run ended, and what is wrong with that."""
        state = said.get("state", "unknown")
        if state == "success":
            weights = str(self.site.installation.summary(run_id)["weights_sha256"])
            wrong = [] if code in ENDS_GREEN else [f"a green run ends with exit code {code}"]
            if weights != self.weights:
                wrong.append("the run is green with another model than an undisturbed one")
            return "green", wrong
        failed = said.get("failed_tasks") or said
        told = "; ".join(f"{task}: {error}" for task, error in failed.items())
        # the record is for people on other machines
        told = told.replace(str(self.site.installation.data_dir), "DATA").replace(str(REPOSITORY_ROOT), "CODE")
        if any(reason in told.lower() for reason in reasons):
            return f"red: {told[:160]}", []
        return f"red: {told[:160]}", [f"the run ended {state} without a reason that was given: {told[:600]}"]


def _short(site: Site) -> dict[str, Any]:
    """A small model, and an evaluation of a few cases that the base knows: minutes less for each run."""
    suite = site.installation.data_dir / "inbox" / "cases" / "few.jsonl"
    suite.parent.mkdir(parents=True, exist_ok=True)
    known = REPOSITORY_ROOT / "demo" / "test_cases" / "base_knowledge.jsonl"
    cases = known.read_text(encoding="utf-8").splitlines(keepends=True)[:CASES]
    suite.write_text("".join(cases), encoding="utf-8")
    return {"base_model": "demo-base", "recipe": "demo-lora", "test_suite": str(suite), "extra_suites": []}


def harmed(outcomes: list[Outcome]) -> dict[int, list[str]]:
    """What did not hold, by seed."""
    return {outcome.seed: outcome.violations for outcome in outcomes if not outcome.held}
