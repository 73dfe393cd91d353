"""The gate for model folders: each way of being wrong is named, and nothing wrong gets through."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load, save

from contracts.errors import InvalidDataError, InvalidRequestError
from security.model_files import check_model_folder, check_model_path
from security.safetensors_header import read_safetensors_header
from tests.security.model_folders import plain_folder, plain_weights, safetensors_bytes


def entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_plain_folder_passes(tmp_path):
    checked = check_model_folder(plain_folder(tmp_path / "m"))
    assert (checked.files, checked.tensors, checked.size_bytes) == (
        ("config.json", "model.safetensors", "tokenizer.json"),
        1,
        16,
    )


@pytest.mark.parametrize(
    "name",
    ["modeling_qwen.py", "pytorch_model.bin", "model.pt", "weights.pkl", "x.so", "model.gguf", "setup.sh", ".hidden"],
)
def test_a_file_that_may_hold_code_is_refused_by_its_name(tmp_path, name):
    folder = plain_folder(tmp_path / "m")
    (folder / name).write_bytes(b"x")
    with pytest.raises(InvalidDataError, match="may hold code") as caught:
        check_model_folder(folder)
    assert name in str(caught.value.value)


def test_links_folders_and_pipes_are_refused(tmp_path):
    linked, nested, piped = (plain_folder(tmp_path / name) for name in ("linked", "nested", "piped"))
    (tmp_path / "elsewhere.json").write_text("{}")
    (linked / "more.json").symlink_to(tmp_path / "elsewhere.json")
    (nested / "original").mkdir()
    os.mkfifo(piped / "pipe.json")
    for folder, why in ((linked, "symbolic link"), (nested, "a folder inside"), (piped, "no plain file")):
        with pytest.raises(InvalidDataError, match=why):
            check_model_folder(folder)
    assert check_model_folder(nested, subfolders=["original"]).tensors == 1


@pytest.mark.parametrize(
    ("file", "settings", "why"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        ("tokenizer_config.json", {"a": [{"b": {"auto_map": ["x"]}}]}, "auto_map"),
        ("config.json", {"trust_remote_code": True}, "trust_remote_code"),
        ("config.json", {"custom_pipelines": {"x": 1}}, "custom_pipelines"),
        ("config.json", {"_attn_implementation": "somebody/kernel"}, "_attn_implementation"),
        ("adapter_config.json", {"auto_mapping": {"parent_library": "os"}}, "auto_mapping"),
        ("adapter_config.json", {"megatron_config": {"x": 1}, "megatron_core": "os"}, "megatron_config"),
    ],
)
def test_settings_that_lead_to_code_are_refused(tmp_path, file, settings, why):
    folder = plain_folder(tmp_path / "m")
    (folder / file).write_text(json.dumps(settings))
    with pytest.raises(InvalidDataError, match=why):
        check_model_folder(folder)


def test_words_of_a_vocabulary_are_no_settings(tmp_path):
    folder = plain_folder(tmp_path / "m")
    (folder / "vocab.json").write_text('{"auto_map": 1}')
    (folder / "adapter_config.json").write_text('{"auto_mapping": null, "megatron_config": null}')
    assert check_model_folder(folder).tensors == 1


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "{", "[" * 100_000, b"\xff"])
def test_settings_that_two_readers_could_read_differently_are_refused(tmp_path, text):
    folder = plain_folder(tmp_path / "m")
    (folder / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidDataError, match=r"config\.json is no JSON"):
        check_model_folder(folder)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "ends within the length"),
        (safetensors_bytes(b"{}", length=2**63), "longer than the file"),
        (safetensors_bytes(b"{}", length=3), "longer than the file"),
        (safetensors_bytes(b"[]"), "does not begin with"),
        (safetensors_bytes(b"{}"), "holds no tensor"),
        (safetensors_bytes({"__metadata__": {"x": 1}}), "not made of texts"),
        (safetensors_bytes(b'{"a":{},"a":{}}'), "twice"),
        (safetensors_bytes({"a": entry(0, 8, [1])}, bytes(8)), "other bytes than its shape"),
        (safetensors_bytes({"a": entry(0, 4, [1], "F31")}, bytes(4)), "a type that the format does not know"),
        (safetensors_bytes({"a": entry(0, 4, [-1])}, bytes(4)), "the shape of a"),
        (safetensors_bytes({"a": entry(0, 4, [True])}, bytes(4)), "the shape of a"),
        (safetensors_bytes({"a": entry(4, 0, [1])}, bytes(4)), "no two ordered places"),
        (safetensors_bytes({"a": {"dtype": "F32"}}), "not exactly dtype"),
        (safetensors_bytes({"a": entry(0, 4, [1]), "b": entry(0, 4, [1])}, bytes(4)), "lies over the one before it"),
        (safetensors_bytes({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12)), "leaves a gap"),
        (safetensors_bytes({"a": entry(0, 4, [1])}, bytes(5)), "bytes follow that belong to no tensor"),
        (safetensors_bytes({"a": entry(0, 4, [1])}, bytes(3)), "last bytes are missing"),
        (safetensors_bytes({"": entry(0, 4, [1])}, bytes(4)), "name is empty"),
        (safetensors_bytes({"a\nb": entry(0, 4, [1])}, bytes(4)), "not printable"),
        (safetensors_bytes({"a": entry(0, 4, [0, 2**62, 2**62])}, bytes(4)), "other bytes than its shape"),
    ],
)
def test_a_header_that_does_not_hold_is_refused_with_the_reason(tmp_path, content, why):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidDataError, match=why):
        read_safetensors_header(path)


def test_several_files_need_an_index_that_tells_the_truth(tmp_path):
    folder = plain_folder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    (folder / "model-2.safetensors").write_bytes(plain_weights("v"))

    def indexed(**homes: str) -> None:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": homes}))

    with pytest.raises(InvalidDataError, match="several weights files and no index"):
        check_model_folder(folder)
    for homes, why in (
        ({"w": "model-1.safetensors"}, "does not name"),
        ({"w": "model-1.safetensors", "v": "model-1.safetensors"}, "says that v is in"),
        ({"w": "model-1.safetensors", "v": "../model-2.safetensors"}, "says that v is in"),
        ({"w": "model-1.safetensors", "v": "model-2.safetensors", "u": "model-2.safetensors"}, "says that u is in"),
    ):
        indexed(**homes)
        with pytest.raises(InvalidDataError, match=why):
            check_model_folder(folder)
    indexed(w="model-1.safetensors", v="model-2.safetensors")
    assert check_model_folder(folder).tensors == 2
    (folder / "model-2.safetensors").write_bytes(plain_weights("w"))
    with pytest.raises(InvalidDataError, match="both hold a tensor"):
        check_model_folder(folder)


def test_a_path_leads_below_the_allowed_folders_also_through_links(tmp_path):
    root, outside = tmp_path / "base", tmp_path / "outside"
    plain_folder(root / "good")
    plain_folder(outside)
    (root / "link").symlink_to(outside)
    assert check_model_path(str(root / "good"), [root]) == root / "good"
    for path in (root / "link", outside, root / ".." / "outside"):
        with pytest.raises(InvalidRequestError, match="outside the folders"):
            check_model_path(str(path), [root])
    for address in ("https://example.org/model", "s3://bucket/model", "hf:org/model", "file:///etc"):
        with pytest.raises(InvalidRequestError, match="never fetched from an address"):
            check_model_path(address, [root])


NUMBERS = st.one_of(st.integers(-4, 40), st.sampled_from([2**31, 2**63, 2**64, 1.5, True, None, "4"]))
ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "BF16", "I8", "F4", "X"]),
            "shape": st.lists(NUMBERS, max_size=3),
            "data_offsets": st.lists(NUMBERS, max_size=3),
        }
    ),
    st.builds(
        lambda begin, size: {"dtype": "U8", "shape": [size], "data_offsets": [begin, begin + size]},
        st.integers(0, 12),
        st.integers(0, 12),
    ),
)


@given(
    header=st.one_of(st.dictionaries(st.text(max_size=3), ENTRIES, max_size=4), st.binary(max_size=40)),
    data=st.binary(max_size=40),
    cut=st.one_of(st.none(), st.integers(0, 60)),
)
def test_what_the_gate_lets_through_the_library_reads_and_nothing_else_is_raised(tmp_path_factory, header, data, cut):
    content = safetensors_bytes(header, data)[:cut]
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(content)
    try:
        places = read_safetensors_header(path)
    except InvalidDataError:
        return
    assert sum(place.size_bytes for place in places) <= len(data)
    try:
        load(content)
    except (KeyError, ValueError, TypeError, OverflowError):
        pass  # numpy has no such type
    except SafetensorError as error:
        raise AssertionError("the library refuses what the gate lets through") from error


@given(place=st.integers(0, 200), value=st.integers(0, 255))
def test_one_changed_byte_of_a_header_is_refused_or_leaves_a_file_the_library_reads(tmp_path_factory, place, value):
    content = bytearray(save({"a": np.ones((2, 3), np.float32), "b": np.ones(4, np.float16)}))
    end = 8 + int.from_bytes(content[:8], "little")
    content[place % end] = value
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    path.write_bytes(content)
    try:
        places = read_safetensors_header(path)
    except InvalidDataError:
        return
    assert {place.name: place.shape for place in places} == {
        name: array.shape for name, array in load(bytes(content)).items()
    }
