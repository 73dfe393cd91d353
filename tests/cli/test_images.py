"""The images can be built from a clone as it is, and hold no more than what runs."""

import ast
import re
import sys
from collections import defaultdict
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from setup import install

ROOT = Path(__file__).resolve().parent.parent.parent
WITH_ENVIRONMENT = ["Dockerfile", "images/trainer.Dockerfile"]
NOT_RUN_IN_THE_IMAGES = ("tests", "benchmarks", "build", "var")


def stages_of(path: str) -> list[list[str]]:
    """Instructions of each stage, comments and line ends taken out."""
    lines = [
        line for line in (ROOT / path).read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
    ]
    stages: list[list[str]] = []
    for instruction in "\n".join(lines).replace("\\\n", " ").splitlines():
        if instruction.startswith("FROM "):
            stages.append([])
        if stages and instruction:
            stages[-1].append(" ".join(instruction.split()))
    return stages


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_names(locks: list[Path]) -> set[str]:
    lines = (line for lock in locks for line in lock.read_text(encoding="utf-8").splitlines())
    return {normal(line.partition("==")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)}


def imported_by_what_runs() -> dict[str, set[str]]:
    """Files by the third-party module that they name, at the top or within a function."""
    own = {path.name for path in ROOT.iterdir() if path.is_dir()}
    folders = [name for name in sorted(own) if name[0] != "." and name not in NOT_RUN_IN_THE_IMAGES]
    found = defaultdict(set)
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names:
                found[name].add(str(path.relative_to(ROOT)))
    return found


def test_what_runs_imports_nothing_that_only_the_checks_of_a_checkout_have():
    imported = imported_by_what_runs()
    assert {"fastapi", "torch", "airflow", "streamlit"} <= set(imported)
    provided = packages_distributions()
    locked = locked_names(install.platform_locks(list(install.EXTRAS), development=False))
    lacking = {
        name: sorted(imported[name])
        for name in imported
        if name in provided and not {normal(one) for one in provided[name]} & locked
    }
    assert lacking == {}


def test_the_packages_of_the_checks_can_be_left_out():
    names = [path.name for path in install.platform_locks(["celery"], development=False)]
    assert names == ["requirements.txt", "requirements-celery.txt"]
    assert "pytest" not in locked_names(install.platform_locks([], development=False))
    assert "pytest" in locked_names(install.platform_locks([]))


@pytest.mark.parametrize("path", WITH_ENVIRONMENT)
def test_an_image_has_neither_the_packages_of_the_checks_nor_the_tools_that_made_it(path):
    stages = stages_of(path)
    [installing] = [run for stage in stages for run in stage if "setup/install.py" in run]
    calls = re.findall(r"setup/install\.py ([^;&]*)", installing)
    assert len(calls) == 2
    assert all("--without-vllm --without-dev" in call for call in calls)
    # npm, and what the installer leaves beside the environment, stay in their stage
    assert not any("npm" in instruction for instruction in stages[-1])
    assert [line for line in stages[-1] if line.startswith("COPY")] == [
        "COPY --from=built /app/.venv /app/.venv",
        "COPY --from=code /app /app",
    ]


@pytest.mark.parametrize("path", WITH_ENVIRONMENT)
def test_the_account_reads_the_code_whatever_the_umask_of_the_clone(path):
    [code] = [stage for stage in stages_of(path) if stage[0].endswith(" AS code")]
    assert code[-2:] == ["COPY . /app", "RUN chmod -R u=rwX,go=rX /app"]


def test_nothing_that_git_ignores_enters_a_build():
    kept_out = set((ROOT / ".dockerignore").read_text(encoding="utf-8").split())
    for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split():
        assert {line.strip("/"), f"**/{line.strip('/')}"} & kept_out, line
    assert {".git", ".env", "secrets", "models"} <= kept_out
