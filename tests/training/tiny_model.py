"""A base model of 60 thousand random weights, its tokenizer, and a dataset version: made in a second, trained in two."""

import json
import shutil
from pathlib import Path

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\n' }}"
    "{%- if message['role'] == 'assistant' %}"
    "{%- generation %}{{- message['content'] + '<|im_end|>' }}{%- endgeneration %}{{- '\n' }}"
    "{%- else %}{{- message['content'] + '<|im_end|>\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
UNMARKED_TEMPLATE = CHAT_TEMPLATE.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")
PLACES = ["한빛터널", "새재교", "가온요금소", "다솜휴게소", "라온나들목", "마루분기점", "바른육교", "소담쉼터"]
THINGS = {"점검 주기": "7일", "담당 부서": "시설팀", "내선 번호": "2100", "제한 높이": "4.2 m", "개통 연도": "2003년"}


def conversations(count: int) -> list[list[dict[str, str]]]:
    """Questions with answers, all different."""
    rows = [
        [
            {"role": "user", "content": f"{place} {number}호의 {thing}는?"},
            {"role": "assistant", "content": f"{value}{number}"},
        ]
        for number in range(1, 100)
        for place in PLACES
        for thing, value in THINGS.items()
    ]
    return rows[:count]


def make_tokenizer(template: str | None = CHAT_TEMPLATE):
    """Byte-level BPE with the special tokens of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [message["content"] for row in conversations(200) for message in row]
    tokenizer.train_from_iterator(
        [*texts, "user assistant system"],
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = template
    return fast


def make_base_model(folder: Path, template: str | None = CHAT_TEMPLATE) -> Path:
    """A folder that transformers loads as a Qwen3 model."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = make_tokenizer(template)
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            intermediate_size=64,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_dataset(folder: Path, train: int = 192, validation: int = 32) -> Path:
    """The folder of a dataset version."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    folder.mkdir(parents=True, exist_ok=True)
    rows = conversations(train + validation)
    for split, part in (("train", rows[:train]), ("validation", rows[train:])):
        parquet.write_table(
            pa.table(
                {
                    "messages": pa.array([json.dumps(row, ensure_ascii=False) for row in part], pa.string()),
                    "category": pa.array(["maintenance"] * len(part), pa.string()),
                    "source": pa.array(["tiny"] * len(part), pa.string()),
                    "quality_score": pa.array([1.0] * len(part), pa.float64()),
                }
            ),
            folder / f"{split}.parquet",
        )
    return folder


def tiny_request(services, base: Path, job_name: str = "tiny", **changes):
    """A request to train the base model on a tiny dataset version, whose row it adds: 48 steps an epoch."""
    from contracts.training import TrainRequest
    from storage.files import sha256_of_folder

    folder = services.settings.datasets_dir / "tiny"
    if not folder.exists():
        make_dataset(folder)
    roots = services.settings.models_dir / "base"
    roots.mkdir(parents=True, exist_ok=True)
    if not (roots / "tiny").exists():
        shutil.copytree(base, roots / "tiny")
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="tiny",
            content_hash=sha256_of_folder(folder),
            file_path=str(folder),
            total_samples=224,
            train_samples=192,
            val_samples=32,
            test_samples=0,
            removed={},
            masked={},
            quality_score=1.0,
            categories={"maintenance": 224},
        )
    values = {
        "job_name": job_name,
        "dataset_id": dataset.dataset_id,
        "base_model": "tiny",
        "hyperparameters": {"batch_size": 4, "num_epochs": 2},
    }
    return TrainRequest.model_validate({**values, **changes})
