"""Memory of one device while it trains, added up from the shapes of the model.

What autograd keeps for the backward pass is counted layer by layer, as transformers' modules compute it (RMSNorm in
float32, SDPA, gated MLP) and PEFT's adapters beside them. Sources: Korthikanti et al. 2022, "Reducing Activation
Recomputation in Large Transformer Models" (what a layer keeps); Rajbhandari et al. 2020, "ZeRO" (what is divided);
Dettmers et al. 2023, "QLoRA" (4-bit weights and their constants); TRL 1.16, `kernels/chunked_logprob.py` (the loss).
`benchmarks/training_memory.py` compares the sums with what an allocator counted.

The fullest moment is one of three: the backward pass of the loss, with all activations there; the backward pass of the
first layer, with all gradients there; the optimizer's step.
"""

from dataclasses import dataclass

from contracts.enums import Method
from contracts.fitting import MemoryEstimate, MemoryPart
from training.fitting.architecture import Architecture
from training.methods import training_method

FLOAT32, BFLOAT16 = 4, 2
MOMENTS = 2
"""Adam's running means."""

NF4_BLOCK = 64
"""Weights that share a scale (bitsandbytes' default)."""
NF4_SCALE_BLOCK = 256
"""Scales that share a scale of their own, with double quantisation."""

LOSS_TOKENS, LOSS_WORDS = 4096, 32_768
"""Tile of the logits on a GPU (TRL: TOKEN_CHUNK_SIZE, _CHUNKED_LOGPROB_CHUNK_SIZE)."""
WHOLE_LOGITS_COPIES = 3
"""Without tiles, the backward pass of the loss holds log-probabilities, their gradient and the logits' gradient."""

DISTILLED_COPIES, SLICE_COPIES, SLICE_TOKENS = 5, 8, 1024
"""Both models' scores, those of learnt tokens at most twice again, and a gradient; of a slice, what the divergence and its
backward pass hold (training/distillation.py). Added up by hand, not measured."""

GPU_OVERHEAD_BYTES = 900_000_000
"""CUDA's context, cuBLAS workspaces and kernels: 0.6 to 0.9 GB on cards of the H100 class."""
COLLECTIVE_BYTES = 1_000_000_000
"""NCCL's channels and buffers, where several cards train one model."""
FRAGMENTATION = 0.05
"""Of what is allocated and freed in each step: blocks that the caching allocator cannot use again."""
CPU_OVERHEAD_BYTES = 700_000_000
"""The interpreter with torch, transformers, TRL and PEFT: 0.61 GiB before a model was loaded."""

CPU_ERROR = 0.05
"""Largest relative error of the tensor memory over the configurations of benchmarks/training_memory.py, rounded up."""
GPU_ERROR = 0.10
"""Assumed, twice the CPU's: `python -m benchmarks.training_memory --gpu` has not been run on a GPU yet."""


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """What decides about the memory of a run, beside the model."""

    method: Method
    on_gpu: bool
    weight_bytes: int
    """Of one weight of the model as it is read: 4 or 2. qlora reads the projections in 4 bits."""
    batch_size: int
    accumulation: int
    sequence_tokens: int
    lora_rank: int = 8
    lora_dropout: float = 0.0
    checkpointing: bool = False
    optimizer: str = "adamw_torch"
    sharding: str = "none"
    devices: int = 1
    autocast: bool = False
    """Matrices are multiplied in bfloat16 whatever their own type: the trainer does it with bfloat16 on a GPU."""
    masked: bool = False
    """Rows of a batch have different lengths, or several samples: attention gets a mask and repeats keys and values."""
    by_sample: bool = False
    """Batches lie in one row without padding, and attention takes each sample by itself (a CPU's way)."""
    dora: bool = False
    answers: int = 1
    """Two where each sample is a pair of answers to compare (dpo)."""
    distills: bool = False
    """A teacher's scores are compared with the student's, over the whole vocabulary. Its weights are not counted here."""

    @property
    def tokens(self) -> int:
        """In one forward pass of one device."""
        return self.batch_size * self.answers * self.sequence_tokens

    @property
    def compute_bytes(self) -> int:
        """Of one number that goes from layer to layer."""
        return BFLOAT16 if self.autocast else self.weight_bytes

    @property
    def held_bytes(self) -> int:
        """Of one weight as it lies in memory: DeepSpeed makes bfloat16 of what is computed with in bfloat16."""
        return BFLOAT16 if self.by_deepspeed and self.autocast else self.weight_bytes

    @property
    def by_deepspeed(self) -> bool:
        """ZeRO, and not FSDP2, divides the model."""
        return self.sharding in {"zero2", "zero3"}

    @property
    def trains_all(self) -> bool:
        """Every weight moves, and there is no adapter."""
        return not training_method(self.method).has_adapter

    @property
    def quantizes(self) -> bool:
        """The projections are read in 4 bits."""
        return training_method(self.method).quantizes

    @property
    def divides_weights(self) -> bool:
        """Each device holds a part of the weights."""
        return self.sharding in {"fsdp2", "zero3"} and self.devices > 1

    @property
    def divides_gradients(self) -> bool:
        """Each device holds a part of gradients and optimizer."""
        return self.sharding != "none" and self.devices > 1


def estimate_memory(model: Architecture, setup: TrainingSetup) -> MemoryEstimate:
    """Memory of one device at its fullest moment."""
    trained = trained_parameters(model, setup)
    weights = _weights(model, setup)
    gradients = trained * _trained_bytes(setup)
    optimizer = _optimizer(trained, setup)
    if setup.divides_weights:
        weights //= setup.devices
    if setup.divides_gradients:
        gradients //= setup.devices
        optimizer //= setup.devices
    elif setup.devices > 1:
        gradients *= 2  # DistributedDataParallel's buckets beside the gradients themselves
    gathered = _gathered(model, setup)
    layer = _layer_activations(model, setup)
    inputs = setup.tokens * model.hidden * setup.compute_bytes
    kept = model.layers * (inputs if setup.checkpointing else layer) + _last_activations(model, setup)
    kept += _cast_weights(model, setup)
    shared_input = inputs if setup.compute_bytes == FLOAT32 else 0  # a layer's input is also its first norm's
    head_gradient = model.vocabulary * model.hidden * _trained_bytes(setup) if setup.trains_all else 0
    accumulated = gradients if setup.accumulation > 1 or (setup.devices > 1 and not setup.divides_gradients) else 0

    moments = {
        "loss": {
            MemoryPart.GRADIENTS: accumulated,
            MemoryPart.ACTIVATIONS: kept,
            MemoryPart.LOGITS: _logits(model, setup),
            MemoryPart.WORKSPACE: gathered,
        },
        "backward": {
            MemoryPart.GRADIENTS: max(gradients, accumulated)
            if not setup.checkpointing
            else accumulated + head_gradient,
            MemoryPart.ACTIVATIONS: kept + layer - shared_input if setup.checkpointing else layer,
            MemoryPart.WORKSPACE: gathered
            + head_gradient * (2 if model.tied_embeddings and not setup.checkpointing else 0)
            + 2 * setup.tokens * model.intermediate * setup.compute_bytes,  # gradients inside the gated MLP
        },
        "step": {MemoryPart.GRADIENTS: gradients, MemoryPart.WORKSPACE: _step_workspace(model, setup, trained)},
    }
    peak = max(moments, key=lambda name: sum(moments[name].values()))
    changing = moments[peak]
    parts = {
        MemoryPart.WEIGHTS: weights,
        MemoryPart.OPTIMIZER: optimizer,
        **{part: round(size) for part, size in changing.items() if size},
    }
    parts[MemoryPart.OVERHEAD] = _overhead(setup, sum(changing.values()))
    return MemoryEstimate(
        parts={part: parts[part] for part in MemoryPart if parts.get(part)},
        peak=peak,
        error=GPU_ERROR if setup.on_gpu else CPU_ERROR,
        trainable_parameters=trained,
        total_parameters=model.parameters + (trained if not setup.trains_all else 0),
    )


def trained_parameters(model: Architecture, setup: TrainingSetup) -> int:
    """Numbers that the optimizer moves."""
    return model.parameters if setup.trains_all else model.adapter_parameters(setup.lora_rank)


def nf4_bytes(parameters: int) -> int:
    """Weights in 4 bits with double quantisation: half a byte each, a byte for every 64, 4 for every 16,384.

    Dettmers et al. 2023, section 3: 0.127 bits of constants for each weight.
    """
    return parameters // 2 + parameters // NF4_BLOCK + FLOAT32 * (parameters // (NF4_BLOCK * NF4_SCALE_BLOCK))


def _weights(model: Architecture, setup: TrainingSetup) -> int:
    """The model's and the adapter's; to compare answers, a fully trained model needs itself as it was beside it."""
    rest = model.embedding_parameters + model.small_parameters
    if setup.quantizes:
        base = nf4_bytes(model.linear_parameters) + rest * setup.held_bytes
    else:
        base = model.parameters * setup.held_bytes * (2 if setup.trains_all and setup.answers > 1 else 1)
    return base + (0 if setup.trains_all else model.adapter_parameters(setup.lora_rank) * FLOAT32)


def _trained_bytes(setup: TrainingSetup) -> int:
    """Adapters are float32 whatever the model is (PEFT, and training/ for qlora); full weights are as they were read."""
    return setup.held_bytes if setup.trains_all else FLOAT32


def _optimizer(trained: int, setup: TrainingSetup) -> int:
    if setup.optimizer == "paged_adamw_8bit" and setup.on_gpu:
        return trained * MOMENTS + MOMENTS * FLOAT32 * (trained // 256)  # a scale for every 256 numbers
    if setup.by_deepspeed and setup.held_bytes == BFLOAT16:
        return trained * (MOMENTS + 1) * FLOAT32  # DeepSpeed keeps the weights in float32 too
    return trained * MOMENTS * _trained_bytes(setup)


def _step_workspace(model: Architecture, setup: TrainingSetup, trained: int) -> int:
    """Values between the moments and the new weight, for one weight at a time or for all at once."""
    if setup.optimizer in {"adamw_torch_fused", "paged_adamw_8bit"} and setup.on_gpu:
        return 0
    if setup.on_gpu:  # torch takes all weights in one call (foreach): the square roots of all second moments
        return trained * _trained_bytes(setup) // (setup.devices if setup.divides_gradients else 1)
    largest = (
        model.largest_tensor
        if setup.trains_all
        else setup.lora_rank * max(max(linear.inputs, linear.outputs) for linear in model.linears)
    )
    return 2 * largest * _trained_bytes(setup)


def _gathered(model: Architecture, setup: TrainingSetup) -> int:
    """Whole weights that a device holds for a moment: of two layers and the head, or one projection out of 4 bits."""
    if setup.divides_weights:
        layer = model.linear_parameters // model.layers
        return (2 * layer + model.vocabulary * model.hidden) * setup.compute_bytes
    if setup.quantizes:
        return max(linear.inputs * linear.outputs for linear in model.linears) * setup.compute_bytes
    return 0


def _layer_activations(model: Architecture, setup: TrainingSetup) -> int:
    """Bytes that one layer keeps for its backward pass."""
    compute = setup.compute_bytes
    full = setup.trains_all
    norm = FLOAT32 + (compute if full else 0)  # the float32 input, and the normalised one where its weight is trained
    width = 2 * model.hidden * norm
    if model.qk_norm:
        width += (model.attention_width + model.kv_width) * norm
    # SDPA keeps queries, keys, values and its output, and a float32 number a head
    repeated = model.attention_width if setup.masked else model.kv_width
    width += (2 * model.attention_width + 2 * repeated) * compute + FLOAT32 * model.heads
    if setup.by_sample:  # the output where SDPA left it, and once more in the order of the tokens
        width += model.attention_width * compute
    width += 3 * model.intermediate * compute  # gate, its activation, up
    width += _linear_inputs(model, setup)
    # a byte for each pair of tokens, shared by the layers
    mask = setup.batch_size * setup.answers * setup.sequence_tokens**2 if setup.masked else 0
    return setup.tokens * width + mask // model.layers


def _linear_inputs(model: Architecture, setup: TrainingSetup) -> int:
    """Bytes a token that the projections keep of what goes into them.

    A trained weight keeps its input, and q, k and v, or gate and up, share theirs; the output projection's is the
    attention's output, already counted. A frozen weight keeps nothing, the adapter beside it does: the shared input
    where it has the adapter's own type, else a copy each, and with dropout its mask.
    """
    compute = setup.compute_bytes
    shared = (2 * model.hidden + model.intermediate) * compute
    if setup.trains_all:
        return shared
    inputs = sum(linear.inputs for linear in model.linears)
    if setup.dora:  # what the frozen projection and the adapter gave, each scaled by a trained length
        shared += 2 * sum(linear.outputs for linear in model.linears) * compute
    own_type = BFLOAT16 if setup.autocast else FLOAT32
    between = setup.lora_rank * len(model.linears) * own_type
    if setup.lora_dropout > 0:
        return between + inputs * (own_type + (1 if setup.on_gpu else FLOAT32))
    if compute == FLOAT32:
        return between + shared
    return between + inputs * own_type


def _cast_weights(model: Architecture, setup: TrainingSetup) -> int:
    """bfloat16 copies of float32 weights, which autocast makes once a pass and keeps for its backward pass."""
    if not setup.autocast or setup.weight_bytes != FLOAT32 or setup.quantizes or setup.sharding != "none":
        return 0  # FSDP2 gathers bfloat16 weights, DeepSpeed holds them
    head = model.vocabulary * model.hidden
    layers = 1 if setup.checkpointing and not setup.trains_all else model.layers
    return BFLOAT16 * (model.linear_parameters * layers // model.layers + head)


def _last_activations(model: Architecture, setup: TrainingSetup) -> int:
    """The last norm, the head's input where it is trained, and the rotary angles."""
    compute = setup.compute_bytes
    full = setup.trains_all
    width = model.hidden * (FLOAT32 + (2 * compute if full else 0))
    return setup.tokens * width + 2 * setup.sequence_tokens * model.head_dim * compute


def _logits(model: Architecture, setup: TrainingSetup) -> int:
    """Scores over the vocabulary and the loss.

    On a GPU in tiles, with float32 gradients of hidden states and of a trained head; on a CPU whole, in float32. A
    distillation has both models' scores whole, and compares them in slices.
    """
    if setup.distills:
        whole = DISTILLED_COPIES * setup.compute_bytes * setup.tokens
        return (whole + SLICE_COPIES * FLOAT32 * min(setup.tokens, SLICE_TOKENS)) * model.vocabulary
    if not setup.on_gpu:
        return WHOLE_LOGITS_COPIES * FLOAT32 * setup.tokens * model.vocabulary
    compute = setup.compute_bytes
    tile = min(setup.tokens, LOSS_TOKENS) * min(model.vocabulary, LOSS_WORDS) * compute
    hidden = setup.tokens * model.hidden * (FLOAT32 + compute)
    head = model.vocabulary * model.hidden * (FLOAT32 + compute) if setup.trains_all else 0
    return tile + hidden + head


def _overhead(setup: TrainingSetup, changing: int) -> int:
    if not setup.on_gpu:
        return CPU_OVERHEAD_BYTES
    collective = COLLECTIVE_BYTES if setup.devices > 1 else 0
    return GPU_OVERHEAD_BYTES + collective + round(FRAGMENTATION * changing)
