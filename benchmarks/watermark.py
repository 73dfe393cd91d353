"""What is left of a watermark after each thing that may happen to a model's weights.

    python -m benchmarks.watermark [--keys 1000]

The weights are made up, with the shapes of a small Qwen3 and heavier tails than a normal distribution's (Student's t of
5 degrees, rows of different scale), since trained ones have both. `fine-tuned` is gradient descent with Adam on an
objective that the marked weights do not meet, until they have moved by a quarter of their norm.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from benchmarks.measuring import own_folder, parser, report
from security.watermark.detecting import detect_mark, detect_merged_adapter
from security.watermark.marking import mark_folder
from security.watermark.weight_files import PEFT_PREFIX, bfloat16

Array = NDArray[np.float32]
Weights = dict[str, Array]

KEY = b"an owner's key of thirty-two byt"
DRIFT = 0.25
LAYERS = {
    "self_attn.q_proj": (384, 192), "self_attn.k_proj": (192, 192), "self_attn.v_proj": (192, 192),
    "self_attn.o_proj": (192, 384), "mlp.gate_proj": (576, 192), "mlp.up_proj": (576, 192), "mlp.down_proj": (192, 576),
}  # fmt: skip
"""1.1 million weights in two layers."""
ADAPTED = {"self_attn.q_proj": (1024, 1024), "mlp.up_proj": (1536, 1024), "mlp.down_proj": (1024, 1536)}
RANK = 16
ADAPTED_LAYERS = 3


def main() -> None:
    """Mark a whole model and an adapter, do everything to each, and tell z."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--keys", type=int, default=1000, help="wrong keys that are tried")
    options = arguments.parse_args()
    keys = 20 if options.tiny else options.keys
    with own_folder() as folder:
        whole, adapter = measure_weights(folder / "weights"), measure_adapter(folder / "adapter")
        wrong = wrong_keys(folder / "weights" / "marked", keys)
    rows = [
        (scheme, name, z, bound)
        for scheme, table in (("weights", whole), ("adapter", adapter))
        for name, z, bound in table
    ]
    found = {
        "weights": {name: z for name, z, _ in whole},
        "adapter": {name: z for name, z, _ in adapter},
        "wrong_keys": {
            "tried": keys,
            "largest": round(float(np.abs(wrong).max()), 2),
            "deviation": round(float(wrong.std()), 3),
        },
    }
    report("watermark", options, found, rows)


def measure_weights(folder: Path) -> list[tuple[str, float, float]]:
    """(what was done, z, log10 of the bound on chance) for a whole model of 1.1 million marked weights."""
    original, marked = folder / "original", folder / "marked"
    weights = made_up_weights()
    _save(weights, original)
    _save(weights, marked)
    mark_folder(marked, KEY, "benchmark", amplitude=0.02)
    kept = load_file(marked / "model.safetensors")
    found = [("unmarked", *_blind(original)), ("marked", *_blind(marked))]
    for name, attack in ATTACKS.items():
        _save({tensor: attack(values) for tensor, values in kept.items()}, folder / "attacked")
        found.append((name, *_blind(folder / "attacked")))
        informed = detect_mark(folder / "attacked", KEY, original=original).informed_z
        found.append((f"{name}, informed", round(informed or 0.0, 1), 0.0))
    _save(fine_tuned(kept), folder / "attacked")
    found.append((f"fine-tuned, drift {DRIFT}", *_blind(folder / "attacked")))
    return found


def measure_adapter(folder: Path) -> list[tuple[str, float, float]]:
    """The same for an adapter of rank 16."""
    marked = folder / "marked"
    base = {f"{name}.weight": _made_up(shape, 100 + place) for place, (name, shape) in enumerate(_adapted())}
    _save(base, folder / "base")
    _save(made_up_adapter(), folder / "unmarked", "adapter_model.safetensors")
    _save(made_up_adapter(), marked, "adapter_model.safetensors")
    mark_folder(marked, KEY, "benchmark")
    factors = load_file(marked / "adapter_model.safetensors")
    found = [("unmarked", *_blind(folder / "unmarked")), ("marked", *_blind(marked))]
    changes: dict[str, Callable[[Weights], Weights]] = {
        "gauge change": gauge_changed,
        "rank re-base": rank_rebased,
        "bf16": _each(rounded_to_bf16),
    }
    for name, change in changes.items():
        _save(change(factors), folder / "attacked", "adapter_model.safetensors")
        found.append((name, *_blind(folder / "attacked")))
    merged = merged_into(base, factors)
    attacks: dict[str, Callable[[Array], Array]] = {"merged": np.copy}
    attacks |= {f"merged, {name}": attack for name, attack in ATTACKS.items()}
    for name, attack in attacks.items():
        _save({tensor: attack(values).astype(np.float32) for tensor, values in merged.items()}, folder / "merged")
        z = detect_merged_adapter(folder / "merged", folder / "base", KEY, rank=RANK)
        found.append((name, round(z.z, 1), round(z.log10_chance, 1)))
    return found


def wrong_keys(folder: Path, count: int) -> NDArray[np.float64]:
    """The z of so many keys that are not the owner's."""
    return np.array([detect_mark(folder, number.to_bytes(32, "big")).z for number in range(1, count + 1)])


def made_up_weights() -> Weights:
    """Two layers of linear weights, and embeddings that carry no mark."""
    weights = {
        f"model.layers.{layer}.{name}.weight": _made_up(shape, 10 * layer + place)
        for layer in range(2)
        for place, (name, shape) in enumerate(LAYERS.items())
    }
    return {**weights, "model.embed_tokens.weight": _made_up((64, 192), 99)}


def made_up_adapter() -> Weights:
    """Factors as training leaves them: A near its uniform beginning, B with few strong directions."""
    factors: Weights = {}
    for place, (name, (outputs, inputs)) in enumerate(_adapted()):
        made = np.random.default_rng(1000 + place)
        prefix = f"{PEFT_PREFIX}{name}"
        strengths = np.exp(-np.arange(RANK) / 8)
        b = made.standard_normal((outputs, RANK)) * strengths @ np.linalg.qr(made.standard_normal((RANK, RANK))).Q
        factors[f"{prefix}.lora_A.weight"] = (made.uniform(-1, 1, (RANK, inputs)) / np.sqrt(inputs)).astype(np.float32)
        factors[f"{prefix}.lora_B.weight"] = (0.01 * b).astype(np.float32)
    return factors


def rounded_to_bf16(values: Array) -> Array:
    """Upper half of each number, to the nearest."""
    return (bfloat16(values).astype(np.uint32) << 16).view(np.float32)


def rounded_to_int8(values: Array) -> Array:
    """A scale a row."""
    scale = np.abs(values).max(axis=1, keepdims=True) / 127
    rounded: Array = (np.round(values / scale) * scale).astype(np.float32)
    return rounded


def rounded_to_int4(values: Array) -> Array:
    """A scale for 64 neighbours of a row."""
    groups = values.reshape(-1, 64)
    scale = np.abs(groups).max(axis=1, keepdims=True) / 7
    rounded: Array = (np.round(groups / scale) * scale).astype(np.float32).reshape(values.shape)
    return rounded


def pruned(values: Array) -> Array:
    """The smallest 30 % become zero."""
    return np.where(np.abs(values) < np.quantile(np.abs(values), 0.3), 0, values).astype(np.float32)


def noisy(values: Array) -> Array:
    """Noise of 5 % of the weights' standard deviation."""
    noise = np.random.default_rng(7).standard_normal(values.shape)
    changed: Array = (values + 0.05 * values.std() * noise).astype(np.float32)
    return changed


ATTACKS: dict[str, Callable[[Array], Array]] = {
    "bf16": rounded_to_bf16,
    "int8": rounded_to_int8,
    "int4": rounded_to_int4,
    "prune 30 %": pruned,
    "noise 5 %": noisy,
}


def fine_tuned(weights: Weights, drift: float = DRIFT, steps: int = 30) -> Weights:
    """Every linear layer taught by Adam another function of random inputs, until it has moved by `drift` of its norm."""
    made = np.random.default_rng(3)
    found = dict(weights)
    for name, start in weights.items():
        if "embed" in name:
            continue
        inputs = made.standard_normal((64, start.shape[1])).astype(np.float32)
        wanted = inputs @ (start + start.std() * made.standard_normal(start.shape)).astype(np.float32).T
        now, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
        rate = 1.5 * drift * float(start.std()) / steps
        for step in range(1, 10 * steps):
            gradient = (inputs @ now.T - wanted).T @ inputs / len(inputs)
            first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
            now = now - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
            if np.linalg.norm(now - start) >= drift * np.linalg.norm(start):
                break
        found[name] = now.astype(np.float32)
    return found


def gauge_changed(factors: Weights) -> Weights:
    """B R and R⁻¹ A: the same adapter, other factors."""
    found = {}
    for a_name, b_name, a, b in _pairs(factors):
        mix = np.random.default_rng(5).standard_normal((a.shape[0], a.shape[0]))
        found[a_name], found[b_name] = np.linalg.solve(mix, a).astype(np.float32), (b @ mix).astype(np.float32)
    return found


def rank_rebased(factors: Weights) -> Weights:
    """What a thief with the base model does: the change of the merged weights, cut to its rank again."""
    from security.watermark.detecting import cut_to_rank

    found = {}
    for a_name, b_name, a, b in _pairs(factors):
        left, right = cut_to_rank(b.astype(np.float64) @ a, RANK)
        found[a_name], found[b_name] = right.astype(np.float32), left.astype(np.float32)
    return found


def merged_into(base: Weights, factors: Weights) -> Weights:
    """Base plus twice B @ A."""
    merged = dict(base)
    for a_name, _, a, b in _pairs(factors):
        name = a_name.removeprefix(PEFT_PREFIX).replace(".lora_A", "")
        merged[name] = merged[name] + 2 * (b @ a)
    return merged


def _adapted() -> Iterator[tuple[str, tuple[int, int]]]:
    for layer in range(ADAPTED_LAYERS):
        for name, shape in ADAPTED.items():
            yield f"model.layers.{layer}.{name}", shape


def _pairs(factors: Weights) -> Iterator[tuple[str, str, Array, Array]]:
    for name in factors:
        if ".lora_A" in name:
            other = name.replace("lora_A", "lora_B")
            yield name, other, factors[name], factors[other]


def _each(attack: Callable[[Array], Array]) -> Callable[[Weights], Weights]:
    return lambda weights: {name: attack(values) for name, values in weights.items()}


def _made_up(shape: tuple[int, int], seed: int) -> Array:
    made = np.random.default_rng(seed)
    rows = np.exp(0.3 * made.standard_normal((shape[0], 1)))
    return (0.02 * rows * made.standard_t(5, shape)).astype(np.float32)


def _save(weights: Weights, folder: Path, name: str = "model.safetensors") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({tensor: np.ascontiguousarray(values) for tensor, values in weights.items()}, folder / name)


def _blind(folder: Path) -> tuple[float, float]:
    found = detect_mark(folder, KEY)
    return round(found.z, 1), round(found.log10_chance, 1)


if __name__ == "__main__":
    main()
