"""An installation that can train: base models of which the shape and the tokenizer are real, a dataset version, and
Airflow's password."""

import json

from contracts.access import ResourceKind
from contracts.identity import Role
from stages.services import Services
from tests.dashboard.conftest import add_person
from tests.security.model_folders import plain_weights
from tests.training.fitting.qwen3 import QWEN3
from tests.training.tiny_model import make_dataset, make_tokenizer

SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 1000}
LARGE = {"num_hidden_layers": 4000}


def make_trainable(services: Services, owner: str | None = None) -> int:
    """The dataset version's id; it is the owner's, or everybody's. 192 rows to train on."""
    tokenizer = make_tokenizer()
    for name, changes in (("small", SMALL), ("large", LARGE)):
        folder = services.settings.models_dir / "base" / name
        folder.mkdir(parents=True)
        tokenizer.save_pretrained(folder)
        config = {**QWEN3["0.6B"], "architectures": ["Qwen3ForCausalLM"], **changes}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.safetensors").write_bytes(plain_weights())
    services.settings.secrets_dir.mkdir(parents=True, exist_ok=True)
    (services.settings.secrets_dir / "airflow_platform_password").write_text("right")
    if owner is not None:
        add_person(services, owner, Role.ML_ENGINEER, ("roads",))
    rows = make_dataset(services.settings.datasets_dir / "rules")
    with services.unit_of_work() as uow:
        dataset = uow.datasets.add(
            name="rules", content_hash="0" * 64, file_path=str(rows), total_samples=1224, train_samples=1192,
            val_samples=32, test_samples=0, removed={}, masked={}, quality_score=0.912, categories={},
        )  # fmt: skip
        if owner is not None:
            account = uow.users.credentials(owner)
            assert account is not None
            uow.ownership.claim(ResourceKind.DATASET, dataset.dataset_id, account.account.user_id)
    return dataset.dataset_id
