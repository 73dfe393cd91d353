"""The page about A/B tests shows what runs."""

import re
from pathlib import Path

from cli.ab import app

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "ab_testing.md").read_text(encoding="utf-8")


def test_the_public_interface_runs_as_it_stands():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/ab_testing.md", "exec"), names)


def test_the_page_names_existing_commands_and_files_only():
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    named = set(re.findall(r"tuneway ab ([a-z]+)", PAGE))
    assert named
    assert named <= commands
    package = Path(__file__).resolve().parent.parent.parent / "ab_testing"
    files = re.findall(r"`(\w+\.py)`", PAGE)
    assert files
    assert [name for name in files if not (package / name).exists()] == []
