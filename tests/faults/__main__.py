"""`python -m tests.faults --seeds 1-200 --record FILE`: a campaign by hand, going on where the record ends."""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tests.faults.campaign import Campaign
from tests.faults.site import running_site


def main() -> int:
    """Run the seeds that the record does not have; print one line each; 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-9", help="first-last")
    parser.add_argument("--at-once", type=int, default=2, help="runs of a wave")
    parser.add_argument("--base-model", type=Path, required=True, help="folder that demo.pretrain has made")
    parser.add_argument("--record", type=Path, required=True, help="JSON lines; seeds in it are not run again")
    parser.add_argument("--minutes", type=float, default=10_000.0, help="end after so many minutes")
    parser.add_argument(
        "--table", action="store_true", help="only print the record as the table of docs/reliability.md"
    )
    arguments = parser.parse_args()
    if arguments.table:
        print(table(arguments.record))
        return 0
    first, _, last = arguments.seeds.partition("-")
    there = {entry["seed"] for entry in recorded(arguments.record)}
    seeds = [seed for seed in range(int(first), int(last or first) + 1) if seed not in there]
    deadline = time.monotonic() + arguments.minutes * 60
    all_held = True
    with running_site(arguments.base_model) as site, tempfile.TemporaryDirectory() as folder:
        print(f"platform: {site.installation.data_dir}, ports from {site.installation.port_base}", flush=True)
        campaign = Campaign.begin(site, Path(folder))
        print("the undisturbed run has ended", flush=True)
        for outcome in campaign.run(seeds, arguments.at_once):
            with arguments.record.open("a", encoding="utf-8") as file:
                file.write(outcome.as_json() + "\n")
            all_held = all_held and outcome.held
            if time.monotonic() > deadline:
                break
        print(
            f"{len(campaign.traffic.answered)} answers, {len(campaign.traffic.rated)} ratings, "
            f"{campaign.traffic.refused} refused"
        )
    return 0 if all_held else 1


def recorded(path: Path) -> list[dict[str, object]]:
    """The outcomes of a record."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(path: Path) -> str:
    """Markdown: a line a fault."""
    by_fault: dict[str, list[dict[str, object]]] = defaultdict(list)
    for entry in recorded(path):
        by_fault[str(entry["fault"])].append(entry)
    lines = ["| fault | runs | green | red with its reason | held |", "|---|---|---|---|---|"]
    for fault, entries in sorted(by_fault.items()):
        green = sum(entry["state"] == "green" for entry in entries)
        held = sum(not entry["violations"] for entry in entries)
        lines.append(f"| {fault} | {len(entries)} | {green} | {len(entries) - green} | {held} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
