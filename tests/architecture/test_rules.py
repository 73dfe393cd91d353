"""House rules that hold for every file."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY_ROOT

PACKAGES = sorted(
    path.parent
    for path in REPOSITORY_ROOT.glob("*/__init__.py")
    if path.parent.name not in {"tests"} and not path.parent.name.startswith(".")
)
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "deepspeed", "mlflow"}


def test_there_are_packages_and_modules_to_look_at():
    assert len(PACKAGES) >= 15
    assert len(MODULES) >= 60


@pytest.mark.slow
def test_a_package_is_imported_by_those_above_it_only():
    completed = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_every_package_is_held_by_the_import_rules():
    configuration = tomllib.loads((REPOSITORY_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    held = set(configuration["tool"]["importlinter"]["root_packages"])
    outside = {"dags", "plugins", "demo"}
    assert {package.name for package in PACKAGES} - held == outside & {package.name for package in PACKAGES}


def test_no_package_hides_an_installed_library():
    taken = {"datasets", "evaluate", "data", "experiments", "utils", "common", "core", "mlflow", "airflow"}
    assert {package.name for package in PACKAGES}.isdisjoint(taken)


@pytest.fixture(scope="module")
def trees():
    """Each module's syntax tree, by its path."""
    return {str(path.relative_to(REPOSITORY_ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def imported_at_module_level(tree):
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def test_the_training_stack_is_never_imported_at_module_level(trees):
    assert {path: heavy for path, tree in trees.items() if (heavy := imported_at_module_level(tree) & HEAVY)} == {}


def test_every_module_says_what_it_is(trees):
    assert [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_no_committed_text_names_a_registry_host_or_a_path_of_one_machine():
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    files = [REPOSITORY_ROOT / name for name in tracked if name]
    assert len(files) > 100
    pattern = re.compile(r"(pypi\.org|pythonhosted|registry\.npmjs|download\.pytorch|huggingface\.co/|cdn\.)")
    offenders = []
    for path in files:
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".cfg", ".txt", ".sh", ".in", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            if path != Path(__file__) and pattern.search(text):
                offenders.append(str(path.relative_to(REPOSITORY_ROOT)))
    assert offenders == []
