"""Files of registered models: once each, whole, and never removed while somebody refers to them."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from contracts.errors import ConflictError
from registry.model_files import ModelStore, collect_model_garbage
from settings.model import REPOSITORY_ROOT
from storage.files import sha256_of_file, write_json_atomically

NOW = timedelta(0)


def register(store: ModelStore, name: str, files: dict[str, str]) -> Path:
    """A registered folder with these files, as the stage makes it."""
    folder = store.registered / name / "v1"
    entries: list[JsonValue] = []
    for path, text in files.items():
        source = store.root.parent / f"source-{uuid.uuid4().hex}"
        source.write_text(text)
        digest = sha256_of_file(source)
        store.put(source, digest, len(text.encode()))
        store.link(digest, folder / path)
        source.unlink()
        entries.append({"path": path, "sha256": digest, "size_bytes": len(text.encode())})
    write_json_atomically(folder / "manifest.json", {"files": entries})
    return folder


@pytest.fixture
def store(tmp_path) -> ModelStore:
    (tmp_path / "models").mkdir()
    return ModelStore(tmp_path / "models")


def objects(store: ModelStore) -> int:
    return len(list((store.root / "sha256").glob("??/*")))


def test_the_same_bytes_are_stored_once_and_are_read_only(store):
    one, other = (register(store, name, {"model.safetensors": "weights"}) for name in ("a", "b"))
    assert (one / "model.safetensors").samefile(other / "model.safetensors")
    assert objects(store) == 1
    assert (one / "model.safetensors").stat().st_mode & 0o222 == 0


def test_a_source_that_changed_after_it_was_hashed_is_refused_and_leaves_nothing(store, tmp_path):
    source = tmp_path / "weights"
    source.write_text("before")
    digest = sha256_of_file(source)
    source.write_text("after!")
    with pytest.raises(ConflictError, match="changed while it was copied"):
        store.put(source, digest, 6)
    assert list(store.path(digest).parent.iterdir()) == []


def test_a_stored_file_that_has_rotted_is_replaced(store, tmp_path):
    register(store, "a", {"w": "weights"})
    (rotten,) = (store.root / "sha256").glob("??/*")
    rotten.chmod(0o644)
    rotten.write_text("WEIGHTS")
    fresh = register(store, "b", {"w": "weights"})
    assert (fresh / "w").read_text() == "weights"


def test_garbage_is_what_no_version_refers_to_and_a_dry_run_only_says_so(store):
    kept = register(store, "kept", {"shared": "shared", "own": "own"})
    gone = register(store, "gone", {"shared": "shared", "alone": "alone!"})
    told = collect_model_garbage(store, [kept], kept_for=NOW, dry_run=True)
    assert (told.folders, told.objects) == ([str(gone)], 1)
    assert gone.is_dir()
    done = collect_model_garbage(store, [kept], kept_for=NOW)
    assert done == told.model_copy(update={"dry_run": False})
    assert not gone.exists()
    assert sorted(path.name for path in kept.iterdir()) == ["manifest.json", "own", "shared"]
    assert objects(store) == 2


def test_a_young_folder_that_nobody_refers_to_is_kept(store):
    young = register(store, "young", {"w": "weights"})
    assert collect_model_garbage(store, []).folders == []
    assert young.is_dir()


def test_a_file_that_a_manifest_names_is_kept_where_folders_have_copies_instead_of_links(store):
    folder = register(store, "copied", {"w": "weights"})
    (folder / "w").unlink()
    shutil.copyfile(next((store.root / "sha256").glob("??/*")), folder / "w")
    assert collect_model_garbage(store, [folder], kept_for=NOW).objects == 0


def test_nobody_collects_while_somebody_registers(store):
    with store.writing(), pytest.raises(ConflictError, match="being registered"), store.collecting():
        raise AssertionError("both at once")
    with store.collecting():
        pass


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from("abcde"),
        st.dictionaries(st.sampled_from("xyz"), st.sampled_from("123"), min_size=1),
        max_size=5,
    ),
    st.sets(st.sampled_from("abcde")),
)
def test_whatever_is_collected_a_referenced_version_stays_whole(tmp_path, models, referenced):
    store = ModelStore(tmp_path / uuid.uuid4().hex / "models")
    store.root.mkdir(parents=True)
    folders = {name: register(store, name, files) for name, files in models.items()}
    collect_model_garbage(store, [folders[name] for name in referenced & folders.keys()], kept_for=NOW)
    for name, folder in folders.items():
        assert folder.exists() == (name in referenced)
    needed = {text for name in referenced & models.keys() for text in models[name].values()}
    for name in referenced & models.keys():
        assert {path: (folders[name] / path).read_text() for path in models[name]} == models[name]
    assert objects(store) == len(needed)


def test_a_copy_that_was_killed_leaves_nothing_but_garbage(store, tmp_path):
    source = tmp_path / "weights"
    source.write_bytes(b"0" * 300_000_000)
    digest = sha256_of_file(source)
    code = (
        "import sys; from pathlib import Path; from registry.model_files import ModelStore\n"
        "store = ModelStore(Path(sys.argv[1]))\n"
        "with store.writing(): store.put(Path(sys.argv[2]), sys.argv[3], 300_000_000)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(store.root.parent), str(source), digest],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
    )
    while not list((store.root / "sha256").glob("??/.*.tmp")):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not store.path(digest).exists()
    with store.collecting():
        assert collect_model_garbage(store, []).unfinished == 1
    assert list((store.root / "sha256").glob("??/*")) == []
