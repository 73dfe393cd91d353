"""A run as Axolotl and LLaMA-Factory do it: transformers' Trainer with PEFT, which saves as it does by itself.

`python -m tests.training.other_run OUTPUT BASE STEPS SECONDS_A_STEP`; it goes on from its last checkpoint.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


def train(output: Path, base: Path, steps: int, seconds_a_step: float) -> None:
    """Losses to trainer_log.jsonl each step, as LLaMA-Factory writes them; a checkpoint each second step."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    class LosesNothing(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            time.sleep(seconds_a_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            line = {
                "current_steps": state.global_step,
                "total_steps": state.max_steps,
                "loss": logs.get("loss"),
                "lr": logs.get("learning_rate"),
                "epoch": logs.get("epoch"),
            }
            with (output / "trainer_log.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({key: value for key, value in line.items() if value is not None}) + "\n")

    tokenizer = AutoTokenizer.from_pretrained(base)
    ids = tokenizer("통행료는 얼마인가? 800원", return_tensors="pt").input_ids[0]
    trainer = Trainer(
        get_peft_model(
            AutoModelForCausalLM.from_pretrained(base),
            LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
        ),
        TrainingArguments(
            output_dir=str(output),
            max_steps=steps,
            logging_steps=1,
            save_steps=2,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            include_num_input_tokens_seen="all",
        ),
        train_dataset=[{"input_ids": ids, "labels": ids}] * 8,
        callbacks=[LosesNothing()],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(output) if output.exists() else None)
    trainer.save_model()
    trainer.save_state()


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
