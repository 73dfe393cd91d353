"""Every text exists in both languages, with the same places to fill."""

import re
from pathlib import Path
from string import Formatter

from cli.texts import TEXTS, translate

CLI = Path(__file__).resolve().parent.parent.parent / "cli"
USED = re.compile(r"""(?:say|done|warn|busy|text|translate)\(\s*"([a-z_]+\.[a-z_]+)\"""")


def places(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_a_text_has_the_same_places_in_both_languages():
    assert [
        key
        for key, (korean, english) in TEXTS.items()
        if not korean or not english or places(korean) != places(english)
    ] == []


def test_every_text_that_the_code_asks_for_exists():
    used = {key for path in CLI.rglob("*.py") for key in USED.findall(path.read_text(encoding="utf-8"))}
    assert len(used) > 30
    assert used - set(TEXTS) == set()


def test_the_language_decides():
    assert translate("down.not_running", "ko") == "실행 중인 프로세스가 없습니다"
    assert translate("down.not_running", "en") == "Nothing is running"
