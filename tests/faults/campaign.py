"""The campaign: waves of pipelines, each with a fault of its seed, judged by what must hold afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY_ROOT
from tests.faults.checks import violations
from tests.faults.faults import Striking
from tests.faults.site import Site
from tests.faults.traffic import Traffic

CASES = 20
ROWS = 400
RUN_SECONDS = 900
"""An undisturbed run takes about a tenth of it."""


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
    """One platform, its users, and the model that an undisturbed run makes."""

    site: Site
    folder: Path
    traffic: Traffic
    weights: str
    """SHA-256 of the weights that every run must arrive at, however it was disturbed."""

    @classmethod
    def begin(cls, site: Site, folder: Path) -> Campaign:
        """An undisturbed run puts the first model into service; then the users come."""
        traffic = Traffic(site)
        campaign = cls(site, folder, traffic, "")
        suite = REPOSITORY_ROOT / "demo" / "test_cases" / "base_knowledge.jsonl"
        cases = suite.read_text(encoding="utf-8").splitlines(keepends=True)[:CASES]
        campaign.suite.parent.mkdir(parents=True, exist_ok=True)
        campaign.suite.write_text("".join(cases), encoding="utf-8")
        out, code = campaign.finish(campaign.start("undisturbed"))
        assert code == 0, f"the undisturbed run did not pass: {out}"
        campaign.weights = str(site.installation.summary("undisturbed")["weights_sha256"])
        traffic.start()
        return campaign

    @property
    def suite(self) -> Path:
        """A few questions that the base knows: the gate can be passed."""
        return self.site.installation.data_dir / "inbox" / "cases" / "few.jsonl"

    def start(self, run_id: str) -> Any:
        """Trigger a run that takes part in every stage of the pipeline."""
        conf = {
            "dataset_name": run_id,
            "input_files": ["demo/data/base_replay.jsonl"],
            "max_rows": ROWS,
            "split_unit": "question",
            "base_model": "demo-base",
            "recipe": "demo-lora",
            "num_epochs": 5,
            "test_suite": str(self.suite),
            "accuracy_bar": 0.3,
            "model_name": "faults-assistant",
        }
        return self.site.installation.trigger(run_id, conf, self.folder)

    def finish(self, waiting: Any) -> tuple[dict[str, Any], int]:
        """What `tuneway pipeline trigger --wait` says at the end, and its exit code."""
        out, err = waiting.communicate(timeout=RUN_SECONDS)
        try:
            value: dict[str, Any] = json.loads(out)
        except json.JSONDecodeError:
            value = {"state": "unknown", "failed_tasks": {"trigger": err or out}}
        return value, int(waiting.returncode)

    def wave(self, seeds: list[int]) -> Iterator[Outcome]:
        """So many runs at once, each with its seed's fault; then a look at everything."""
        began = time.monotonic()
        runs = {seed: f"seed-{seed}" for seed in seeds}
        strikes = {seed: Striking(self.site, seed, run_id) for seed, run_id in runs.items()}
        waiting = {seed: self.start(run_id) for seed, run_id in runs.items()}
        for strike in strikes.values():
            strike.start()
        ended = {seed: self.finish(process) for seed, process in waiting.items()}
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
        if said["state"] == "success":
            weights = self.site.installation.summary(run_id)["weights_sha256"]
            wrong = [] if code == 0 else [f"a green run ends with exit code {code}"]
            if weights != self.weights:
                wrong.append("the run is green with another model than the undisturbed one")
            return "green", wrong
        failed = said.get("failed_tasks") or said.get("error") or said
        told = "; ".join(f"{task}: {error}" for task, error in failed.items())
        if any(reason in told.lower() for reason in reasons):
            return f"red: {told[:160]}", []
        return f"red: {told[:160]}", [f"the run ended {said['state']} without a reason that was given: {told[:600]}"]
