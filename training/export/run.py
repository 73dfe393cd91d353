"""What both other trainers are told of a run, and the files they read."""

import json
from pathlib import Path

from contracts.enums import Split
from contracts.record import Record
from training.conversations import read_conversations


class ExportedRun(Record):
    """A run that another trainer is to do."""

    base_model_path: str
    folder: Path
    """Absolute: configuration, conversations and, once it has run, the output."""
    num_gpus: int
    seed: int
    validates: bool
    """There are validation conversations."""

    @property
    def output(self) -> Path:
        """Where the other trainer leaves its adapter or model."""
        return self.folder / "output"

    def conversations(self, split: Split) -> Path:
        """The split's conversations, one a line."""
        return self.folder / f"{split}.jsonl"


def write_conversations(dataset: Path, run: ExportedRun) -> None:
    """The dataset version's conversations as JSON lines that both trainers read."""
    for split in (Split.TRAIN, Split.VALIDATION):
        rows = read_conversations(dataset / f"{split}.parquet")
        if rows:
            lines = [json.dumps({"messages": messages}, ensure_ascii=False) + "\n" for messages in rows]
            run.conversations(split).write_text("".join(lines), encoding="utf-8")
