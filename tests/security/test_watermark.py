"""A key's mark: found after what may happen to weights, found by no other key, and laid the same way twice."""

import json
import math
import threading

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks.watermark import (
    ATTACKS,
    KEY,
    RANK,
    fine_tuned,
    gauge_changed,
    made_up_adapter,
    made_up_weights,
    merged_into,
    rank_rebased,
    wrong_keys,
)
from contracts.enums import WatermarkScheme, WatermarkVerdict
from contracts.errors import InvalidDataError, NotFoundError
from security.watermark.detecting import detect_mark, detect_merged_adapter
from security.watermark.keys import MasterKeyFile, commitment_of
from security.watermark.marking import mark_folder
from security.watermark.signs import SignStream
from security.watermark.statistic import joined, log10_chance
from storage.files import sha256_of_file

OTHER_KEY = b"a key that nobody marked anything"[:32]


def saved(weights, folder, name="model.safetensors"):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({tensor: np.ascontiguousarray(values) for tensor, values in weights.items()}, folder / name)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The CI model: 1.1 million marked weights at 2 % amplitude."""
    folder = saved(made_up_weights(), tmp_path_factory.mktemp("watermark") / "marked")
    mark = mark_folder(folder, KEY, "job 1 ci", amplitude=0.02)
    assert (mark.scheme, mark.tensors, mark.identity) == (WatermarkScheme.WEIGHTS, 14, "job 1 ci")
    assert mark.freedoms >= 1_000_000
    assert mark.commitment == commitment_of(KEY)
    return folder


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    folder = saved(made_up_adapter(), tmp_path_factory.mktemp("watermark") / "adapter", "adapter_model.safetensors")
    mark = mark_folder(folder, KEY, "job 2 ci")
    assert (mark.scheme, mark.tensors) == (WatermarkScheme.ADAPTER, 9)
    assert mark.amplitude <= 0.05
    return folder


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_mark_in_a_whole_model_outlives_what_is_done_to_serve_or_to_hide_it(model, tmp_path, attack):
    weights = load_file(model / "model.safetensors")
    folder = saved({name: ATTACKS[attack](values) for name, values in weights.items()}, tmp_path / "m")
    found = detect_mark(folder, KEY)
    assert found.z >= 18
    assert found.verdict is WatermarkVerdict.DETECTED
    assert found.log10_chance <= -70


def test_a_mark_outlives_further_training(model, tmp_path):
    marked = load_file(model / "model.safetensors")
    trained = fine_tuned(marked)
    moved = [np.linalg.norm(trained[name] - marked[name]) / np.linalg.norm(marked[name]) for name in marked]
    assert max(moved) >= 0.25
    assert detect_mark(saved(trained, tmp_path / "m"), KEY).z >= 15


def test_who_kept_the_weights_before_the_mark_sees_it_far_better(model, tmp_path):
    original = saved(made_up_weights(), tmp_path / "original")
    found = detect_mark(model, KEY, original=original)
    assert found.informed_z is not None
    assert found.informed_z >= 1000
    with pytest.raises(InvalidDataError, match="no model of the same shape"):
        detect_mark(model, KEY, original=saved({"a.weight": np.ones((2, 2), np.float32)}, tmp_path / "other"))


def test_wrong_keys_find_nothing_and_unmarked_weights_hold_nothing(model, tmp_path):
    tensor = "model.layers.0.self_attn.k_proj.weight"
    one = saved({tensor: load_file(model / "model.safetensors")[tensor]}, tmp_path / "one")
    found = wrong_keys(one, 1000)
    assert np.abs(found).max() < 5
    assert 0.9 < found.std() < 1.1
    assert np.abs(wrong_keys(model, 20)).max() < 4
    assert detect_mark(saved(made_up_weights(), tmp_path / "plain"), KEY).verdict is WatermarkVerdict.NOT_DETECTED


@pytest.mark.parametrize("change", [gauge_changed, rank_rebased])
def test_an_adapters_mark_does_not_hang_on_how_its_factors_are_cut(adapter, tmp_path, change):
    before = load_file(adapter / "adapter_model.safetensors")
    after = change(before)
    assert all(not np.allclose(before[name], after[name]) for name in before)
    found = detect_mark(saved(after, tmp_path / "a", "adapter_model.safetensors"), KEY)
    assert found.z >= 15
    assert detect_mark(adapter, OTHER_KEY).z < 5


def test_an_adapter_that_was_merged_is_found_beside_its_base_model(adapter, tmp_path):
    name = "model.layers.1.mlp.up_proj"
    factors = {key: value for key, value in load_file(adapter / "adapter_model.safetensors").items() if name in key}
    base = {f"{name}.weight": 0.02 * np.random.default_rng(0).standard_normal((1536, 1024)).astype(np.float32)}
    merged = ATTACKS["bf16"](merged_into(base, factors)[f"{name}.weight"])
    alone = detect_mark(saved(factors, tmp_path / "a", "adapter_model.safetensors"), KEY).z
    found = detect_merged_adapter(
        saved({f"{name}.weight": merged}, tmp_path / "m"), saved(base, tmp_path / "b"), KEY, rank=RANK
    )
    assert found.z == pytest.approx(alone, abs=0.3)


def test_an_adapter_changes_by_its_amplitude_and_keeps_its_rank(adapter):
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    before, after = made_up_adapter(), load_file(adapter / "adapter_model.safetensors")
    old, new = (w[f"{name}.lora_B.weight"].astype(np.float64) @ w[f"{name}.lora_A.weight"] for w in (before, after))
    assert np.linalg.norm(new - old) / np.linalg.norm(old) <= 0.055
    assert np.linalg.matrix_rank(new, tol=1e-6) <= RANK


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_marking_is_the_same_each_time_and_twice_is_once(tmp_path, dtype):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    types = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    weights = {name: torch.from_numpy(values).to(types[dtype]) for name, values in made_up_weights().items()}
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_torch(weights, tmp_path / name / "model.safetensors")
        mark = mark_folder(tmp_path / name, KEY, "x")
        assert mark.z == pytest.approx(20, abs=0.3)
        digests.append(sha256_of_file(tmp_path / name / "model.safetensors"))
    mark_folder(tmp_path / "a", KEY, "x")
    assert {*digests, sha256_of_file(tmp_path / "a" / "model.safetensors")} == {digests[0]}


def test_embeddings_and_norms_stay_as_they_are_and_a_folder_without_layers_too(model, tmp_path):
    name = "model.embed_tokens.weight"
    assert (load_file(model / "model.safetensors")[name] == made_up_weights()[name]).all()
    folder = saved({"model.norm.weight": np.ones(8, np.float32)}, tmp_path / "m")
    before = sha256_of_file(folder / "model.safetensors")
    mark = mark_folder(folder, KEY, "x")
    assert (mark.freedoms, mark.z, sha256_of_file(folder / "model.safetensors")) == (0, 0.0, before)
    with pytest.raises(InvalidDataError, match="no weights in which a mark"):
        detect_mark(folder, KEY)


def test_what_is_no_number_hides_no_mark(model, tmp_path):
    weights = {name: values.copy() for name, values in load_file(model / "model.safetensors").items()}
    for values in weights.values():
        values[0, 0], values[0, 1] = np.nan, np.inf
    assert detect_mark(saved(weights, tmp_path / "m"), KEY).z >= 18


def test_signs_are_even_independent_of_each_other_and_of_how_they_are_taken():
    whole = SignStream(KEY, "a").take(80_000)
    parts = SignStream(KEY, "a")
    assert (np.concatenate([parts.take(64), parts.take(79_936)]) == whole).all()
    assert set(np.unique(whole)) == {-1.0, 1.0}
    assert abs(whole.mean()) < 5 / math.sqrt(80_000)
    assert abs(float(whole @ SignStream(KEY, "b").take(80_000))) < 5 * math.sqrt(80_000)
    bands = np.concatenate([band for _, band in SignStream(KEY, "a").bands(100, 800)])
    assert (bands.ravel() == whole).all()


def test_the_bound_is_hoeffdings_times_the_keys_tried():
    assert log10_chance(8.0) == pytest.approx(math.log10(math.exp(-32)))
    assert log10_chance(8.0, 1000) == pytest.approx(log10_chance(8.0) + 3)
    assert (log10_chance(-3.0), log10_chance(1.0, 10)) == (0.0, 0.0)
    assert joined([(3.0, 1.0), (4.0, 1.0)]) == pytest.approx(7 / math.sqrt(2))


def test_by_chance_z_reaches_a_value_no_more_often_than_the_bound_says():
    x = np.random.default_rng(0).standard_t(2, 500).astype(np.float32)
    found = np.array([float(x @ SignStream(KEY, str(number)).take(500)) for number in range(4000)])
    found /= np.linalg.norm(x)
    for value in (1.0, 2.0, 3.0):
        assert (found >= value).mean() <= math.exp(-(value**2) / 2)


def test_a_master_key_is_made_once_read_by_nobody_else_and_gives_a_key_a_model(tmp_path):
    keys = MasterKeyFile(tmp_path / "secrets" / "watermark_key")
    with pytest.raises(NotFoundError, match="no watermark key"):
        keys.derive("job 1")
    threads = [threading.Thread(target=MasterKeyFile(keys.path).make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in keys.path.parent.iterdir()] == ["watermark_key"]
    assert keys.path.stat().st_mode & 0o777 == 0o400
    one, other = keys.derive("job 1"), keys.derive("job 2")
    assert len(one) == 32
    assert one == keys.derive("job 1") != other
    assert json.loads(json.dumps(commitment_of(one))) != commitment_of(other)
    keys.path.chmod(0o440)
    with pytest.raises(InvalidDataError, match="Others can read"):
        keys.derive("job 1")
    keys.path.chmod(0o600)
    keys.path.write_text("abc")
    with pytest.raises(InvalidDataError, match="damaged"):
        keys.derive("job 1")
