"""Every command of `tuneway` as its parser knows it, and the commands that a text names."""

import inspect
import re
from functools import cache
from importlib import import_module
from typing import Any

import typer
from markdown_it import MarkdownIt
from typer.main import get_command

from cli.main import app

FORWARDED = re.compile(r'_forward\("(cli\.\w+)", "(\w+)"')
PART = re.compile(r'_part\("(cli\.\w+)"\)')
SHELL = {"", "sh", "bash", "console"}
NAMED = re.compile(r"(?<![\w./-])(?:\./)?tuneway +")


@cache
def command_tree() -> dict[str, Any]:
    """The first word after `tuneway`, and the command or group that answers to it."""
    tree = {}
    for registered in app.registered_commands:
        callback = registered.callback
        assert callback is not None
        source = inspect.getsource(callback)
        name = registered.name or callback.__name__
        if part := PART.search(source):
            tree[name] = get_command(import_module(part[1]).app)
            continue
        alone = typer.Typer(add_completion=False)
        forwarded = FORWARDED.search(source)
        alone.command()(getattr(import_module(forwarded[1]), forwarded[2]) if forwarded else callback)
        tree[name] = get_command(alone)
    return tree


def code_of(markdown: str) -> list[tuple[str, str]]:
    """Each block of commands and each piece of code within a line, with the words after its fence's language."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        words = token.info.split() or [""]
        if token.type == "code_block" or (token.type == "fence" and words[0] in SHELL):
            found += [(line, " ".join(words)) for line in token.content.replace("\\\n", " ").splitlines()]
        found += [(child.content, "inline") for child in token.children or [] if child.type == "code_inline"]
    return found


def commands_in(code: str) -> list[list[str]]:
    """The words of each `tuneway …` in a line of code: up to a comment, a gap, a pipe or the next command."""
    found = []
    # what stands in quotes is one word
    for part in NAMED.split(re.sub(r"(['\"])(?:(?!\1).)*\1", "WORDS", code))[1:]:
        text = re.split(r" {2,}|(?:^| )(?:#|&&|\|\||>>?|<|;)(?: |$)|;", part)[0]
        found.append([word for word in re.sub(r"[\[\],]", "", text.replace("\\|", "|")).split() if word != "..."])
    return found


def fault_of(words: list[str]) -> str | None:
    """What of these words no command knows; None where all is well. Words in capitals or Korean stand for something."""
    if not words or not re.fullmatch(r"[a-z][a-z|-]*", words[0]):
        return None
    for name in words[0].split("|"):
        if name not in command_tree():
            return f"no command {name}"
        if name != "airflow" and (fault := _fault_below(command_tree()[name], words[1:])):
            return f"{name}: {fault}"
    return None


def _fault_below(command: Any, words: list[str]) -> str | None:
    if hasattr(command, "commands"):
        if not words or not re.fullmatch(r"[a-z][a-z|-]*", words[0]):
            return None
        for name in words[0].split("|"):
            if name not in command.commands:
                return f"no command {name}"
            if fault := _fault_below(command.commands[name], words[1:]):
                return f"{name}: {fault}"
        return None
    known = {"--help"} | {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    for word in words:
        option = word.partition("=")[0]
        if re.fullmatch(r"--?[a-z][a-z0-9-]*", option) and option not in known:
            return f"no option {option}"
    return None


def missing_of(words: list[str]) -> str | None:
    """What is missing or too much where the words are a whole call; None where the parser takes it."""
    command, rest = command_tree()[words[0]], words[1:]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    if "--help" in rest:
        return None
    context = command.make_context(words[0], [], resilient_parsing=True)
    given, too_much, order = command.make_parser(context).parse_args(list(rest))
    named = {param.name for param in order}
    missing = [param.name for param in command.params if param.required and not _is_there(given, named, param.name)]
    return f"missing {missing}, too much {too_much}" if missing or too_much else None


def _is_there(given: dict[str, Any], named: set[str | None], name: str | None) -> bool:
    return name in named and given.get(name or "") not in (None, (), [])
