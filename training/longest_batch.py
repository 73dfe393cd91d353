"""The longest batch goes first: memory that does not suffice shows before the first step, not after an hour.

Before the first step the rows that take most are passed forward and backward once, beside room for the optimiser's
state. Nothing is kept of it: the gradients are dropped and the random numbers set back, so that the run's numbers are
those it would have had.
"""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIMIZER_COPIES = 2
"""Adam keeps two numbers beside each weight that it moves."""

log = logging.getLogger("training")


class LongestBatchFirst:
    """Stands before one of TRL's trainers among a class's bases."""

    args: Any
    accelerator: Any
    train_dataset: Any
    data_collator: Any
    optimizer: Any
    _tried_longest = False
    _metrics: Any

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """As the trainer's, after the longest batch has been tried once."""
        if not self._tried_longest:
            self._tried_longest = True
            self._try_longest(model)
        return super().training_step(model, inputs, num_items_in_batch)  # type: ignore[misc]

    def _try_longest(self, model: Any) -> None:
        from accelerate.utils import DistributedType

        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            return  # its backward pass moves the weights
        lengths = row_lengths(self.train_dataset)
        longest = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
        chosen = longest[: self.args.per_device_train_batch_size]
        batch = self.data_collator([self.train_dataset[index] for index in chosen])
        before = _random_state()
        logged = copy.deepcopy(getattr(self, "_metrics", None))  # what TRL's trainers collect for their next log line
        room = self._room_for_optimizer(model)
        try:
            count = self._get_num_items_in_batch([batch], self.args.device)  # type: ignore[attr-defined]
            super().training_step(model, batch, count)  # type: ignore[misc]
        finally:
            del room
            model.zero_grad()
            _restore(before)
            if logged is not None:
                self._metrics = logged
        log.info("the longest batch fits: %d rows, %d tokens at most", len(chosen), lengths[longest[0]])

    def _room_for_optimizer(self, model: Any) -> Any:
        """On a GPU, as much memory as the optimiser will take with its first step; none where it has its state."""
        import torch

        if not torch.cuda.is_available() or self.optimizer.state:
            return None
        moved = [parameter for parameter in model.parameters() if parameter.requires_grad]
        size = 1 if "8bit" in str(self.args.optim) else None
        return torch.empty(
            sum(OPTIMIZER_COPIES * part.numel() * (size or part.element_size()) for part in moved),
            dtype=torch.uint8,
            device=moved[0].device,
        )


def row_lengths(rows: Any) -> Sequence[int]:
    """Tokens of each row, over all its lists of them."""
    import pyarrow
    import pyarrow.compute as compute

    table = rows.with_format("arrow")[:]
    total = None
    for column in table.columns:
        if pyarrow.types.is_list(column.type) or pyarrow.types.is_large_list(column.type):
            lengths = compute.list_value_length(column)
            total = lengths if total is None else compute.add(total, lengths)
    found: list[int] = [] if total is None else total.to_pylist()
    return found


def _random_state() -> tuple[Any, ...]:
    import random

    import numpy as np
    import torch

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda


def _restore(state: tuple[Any, ...]) -> None:
    import random

    import numpy as np
    import torch

    python, numpy_state, cpu, cuda = state
    random.setstate(python)
    np.random.set_state(numpy_state)
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
