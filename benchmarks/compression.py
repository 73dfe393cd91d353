"""What each compression makes of a model: size, loss, tokens a second and memory beside its parent's.

    python -m benchmarks.compression [--model FOLDER] [--methods int8 wanda ...]

Parent and compressed model stand on the server that would serve them (vLLM where it is installed) and are asked in
turns. `distill` is here a student of half the layers as it is before its training, which changes neither size nor speed.
Without --model it is the demo's base model, or a random one where there is none.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import REPOSITORY_ROOT, base_model, demo_questions, own_folder, own_settings, parser, report
from contracts.compression import CompressRequest
from contracts.enums import CompressionMethod
from contracts.training import CompressionFacts
from deployment.backends import gpu_count
from deployment.generation_speed import CONCURRENCIES, compare_speed
from deployment.specification import ServerSpec
from settings import load_settings

GROUP_SIZE = 32
"""Divides the widths of small models too."""


def main() -> None:
    """Measure and report; with --one, be the process that compresses."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--model", type=Path, help="the parent's folder")
    arguments.add_argument("--methods", nargs="+", default=list(CompressionMethod), choices=list(CompressionMethod))
    arguments.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    arguments.add_argument("--backend", choices=("vllm", "embedded"), help="vLLM where it is installed, unless given")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one is not None:
        print(compress_one(**json.loads(options.one)).model_dump_json())
        return
    if options.tiny:
        options.methods = [CompressionMethod.NEURONS, CompressionMethod.DISTILL]
        options.seconds, options.backend = 0.1, "embedded"
    with own_folder() as folder:
        parent = options.model or base_model(folder)
        found = list(_measure(options, parent, folder))
    rows = [
        (
            *(line["method"], line["size_ratio"], line["parent_loss"], line["compressed_loss"]),
            *(load["ratio"] for load in line["loads"]),
            *(f"{load['lowest_ratio']} to {load['highest_ratio']}" for load in line["loads"]),
            line["memory_ratio"],
        )
        for line in found
    ]
    report("compression", options, {"model": parent.name, "concurrencies": CONCURRENCIES, "measured": found}, rows)


def _measure(options: argparse.Namespace, parent: Path, folder: Path) -> Iterator[dict[str, Any]]:
    backend = options.backend or ("vllm" if load_settings().vllm_python.is_file() else "embedded")
    settings = own_settings(model_server_backend=backend)
    cards = list(range(min(1, gpu_count())))
    for method in map(CompressionMethod, options.methods):
        if method.quantizes and backend != "vllm":
            print(f"{method.value} left out: only vLLM serves it", file=sys.stderr)
            continue
        output = folder / method.value
        facts = _in_a_process(parent, output, method)
        specs = [
            ServerSpec(model_path=str(path), served_model_name=name, gpu_ids=cards)
            for path, name in ((parent, "parent"), (output, "compressed"))
        ]
        speed = compare_speed(specs[0], specs[1], demo_questions(), settings, folder, seconds=options.seconds)
        memory = (speed.parent_memory_mb, speed.compressed_memory_mb)
        yield {
            "method": method.value,
            "backend": speed.backend.value,
            "device": speed.device,
            "rounds": speed.rounds,
            "parent_mb": round(facts.parent_bytes / 1e6, 1),
            "compressed_mb": round(facts.compressed_bytes / 1e6, 1),
            "size_ratio": round(facts.compressed_bytes / facts.parent_bytes, 3),
            "parent_loss": _rounded(facts.parent_loss),
            "compressed_loss": _rounded(facts.compressed_loss),
            "loads": [{name: round(value, 2) for name, value in load.model_dump().items()} for load in speed.loads],
            "memory_mb": [None if value is None else round(value) for value in memory],
            "memory_ratio": None if memory[0] is None or memory[1] is None else round(memory[1] / memory[0], 2),
        }


def _rounded(loss: float | None) -> float | None:
    return None if loss is None else round(loss, 4)


def _in_a_process(parent: Path, output: Path, method: CompressionMethod) -> CompressionFacts:
    """So that this process stays without torch, and the card's memory is free when the servers want it."""
    run = {"parent": str(parent), "output": str(output), "method": method.value}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.compression", "--one", json.dumps(run)],
        cwd=REPOSITORY_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return CompressionFacts.model_validate_json(done.stdout.splitlines()[-1])


def compress_one(parent: str, output: str, method: str) -> CompressionFacts:
    """Compress, and measure the loss on the demo's questions."""
    from transformers import AutoTokenizer

    from training.compression.compressing import CalibrationRows, compress, weight_bytes
    from training.compression.layers import keep_layers, layer_count

    if method == CompressionMethod.DISTILL.value:
        keep_layers(Path(parent), Path(output), max(1, layer_count(Path(parent)) // 2))
        return CompressionFacts(
            method=CompressionMethod.DISTILL,
            parent_job_id=1,
            parent_bytes=weight_bytes(Path(parent)),
            compressed_bytes=weight_bytes(Path(output)),
            parent_loss=None,
            compressed_loss=None,
            calibration_rows=0,
        )
    tokenizer = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    ids = [tokenizer(question)["input_ids"] for question in demo_questions()]
    rows = CalibrationRows(calibration=ids, loss_ids=ids, loss_labels=ids)
    request = CompressRequest(
        job_name="benchmark", parent_job_id=1, compression=CompressionMethod(method), group_size=GROUP_SIZE
    )
    return compress(Path(parent), Path(output), rows, request, lambda *_: None)


if __name__ == "__main__":
    main()
