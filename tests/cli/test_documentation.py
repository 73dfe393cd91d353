"""The pages name what exists: settings, commands, options, targets and modules."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from settings import SecretName, Settings
from tests.cli.commands import code_of, command_tree, commands_in, fault_of, missing_of

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
OPERATIONS_PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "demo" / "README.md"])
MANUAL = sorted(ROOT.glob("docs/manual/*/*.md"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
COMMANDS = {command.callback.__name__ for command in app.registered_commands if command.callback}


def defaults_of_rows():
    return dict(re.findall(r"^\| `(TUNEWAY_[A-Z0-9_]+)` \| ([^|]*) \|", SETTINGS_PAGE, flags=re.MULTILINE))


def test_every_setting_has_a_row_and_every_row_is_a_setting():
    assert set(defaults_of_rows()) == {f"TUNEWAY_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize(
    "name", ["host", "port_base", "model_server_backend", "gpu_slots", "language", "checkpoint_keep"]
)
def test_the_default_in_the_page_is_the_default(name):
    row = defaults_of_rows()[f"TUNEWAY_{name.upper()}"].strip().strip("`")
    assert row == str(Settings.model_fields[name].default)


def test_every_secret_is_explained():
    assert [name for name in SecretName if f"`{name.value}`" not in SETTINGS_PAGE] == []


def test_the_pages_name_existing_commands_only():
    named = set(re.findall(r"`tuneway ([a-z]+)", SETTINGS_PAGE + OPERATIONS_PAGE))
    assert named
    assert named <= COMMANDS
    assert {"up", "down", "status", "logs", "doctor", "restart", "migrate", "run", "stage", "airflow"} <= named


def named(page, pattern):
    return {name for code, _ in code_of(page.read_text(encoding="utf-8")) for name in re.findall(pattern, code)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_option_target_and_module_that_a_page_names_exists(page):
    faults = [
        f"{code}: {fault}"
        for code, _ in code_of(page.read_text(encoding="utf-8"))
        for words in commands_in(code)
        if (fault := fault_of(words))
    ]
    assert faults == []
    assert named(page, r"(?:^|[`$;&] ?)make ([a-z][a-z-]*)") <= TARGETS
    for module in named(page, r"python3?(?:\.11)? -m ([a-z_][\w.]*)"):
        assert importlib.util.find_spec(module), module


def test_what_no_command_knows_is_found():
    assert fault_of(["dataset", "import", "tolls", "--name", "x"]) == "dataset: import: no option --name"
    assert fault_of(["job", "list|logs|halt"]) == "job: no command halt"
    assert fault_of(["deploi", "assistant@2"]) == "no command deploi"
    assert fault_of(["airflow", "pools", "--any"]) is None
    assert missing_of(["dataset", "import", "tolls"]) == "missing ['files'], too much []"
    assert missing_of(["job", "list", "17"]) == "missing [], too much ['17']"


@pytest.mark.parametrize("page", MANUAL, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_the_manual_is_a_whole_call_or_marked_as_run_by_no_test(page):
    for code, info in code_of(page.read_text(encoding="utf-8")):
        line = re.sub(r"(^| )#.*", "", code).strip()
        if info == "inline" or not line or "not-run" in info.split():
            continue
        if line.startswith("make ") or re.match(r"python -m [a-z]", line):
            continue
        calls = commands_in(line)
        assert calls, f"{line}: mark the block `sh not-run`, or make it a command of the platform"
        for words in calls:
            assert missing_of(words) is None, f"{code}: {missing_of(words)}"


def test_every_command_that_the_manual_shows_is_called_by_a_test():
    sources = [path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py") if path.name != "commands.py"]
    shown = {
        tuple(words[: 2 if hasattr(command_tree()[words[0]], "commands") else 1])
        for page in MANUAL
        for code, info in code_of(page.read_text(encoding="utf-8"))
        if info != "inline" and "not-run" not in info.split()
        for words in commands_in(code)
    }
    assert len(shown) > 30
    # in a list of arguments: `tuneway("dataset", "import", …)`, or `run("import", …)` where the part itself is called
    called = {
        path
        for path in shown
        for source in sources
        if all(f'"{word}"' in source for word in path) or (f"cli.{path[0]} " in source and f'"{path[-1]}"' in source)
    }
    assert shown - called == set()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_numbers_of_ratings_in_the_manual_are_the_planners(language):
    from cli.ab import app as ab

    page = (ROOT / "docs" / "manual" / language / "ab_test.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (0\.\d+)점? \| \D*(\d+)\D* \| \D*(\d+)\D* \|$", page, flags=re.MULTILINE)
    assert len(rows) == 2
    for effect, looking_often, looking_once in rows:
        plan = json.loads(CliRunner().invoke(ab, ["plan", "--effect", effect, "--json"]).stdout)
        assert plan["samples_needed_with_looks"] == int(looking_often)
        assert plan["samples_needed"] == int(looking_once)
