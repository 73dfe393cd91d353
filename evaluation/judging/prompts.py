"""The judge's prompts: Korean texts in files, told apart by version and hash."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from contracts.judging import JudgeConditions, JudgeEndpoint

FOLDER = Path(__file__).with_name("prompts")
NOTHING_GIVEN = "(없음)"
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a judge is told."""

    name: str
    version: str
    sha256: str
    """Of the whole file."""
    system: str
    template: str

    def filled_in(self, values: Mapping[str, str]) -> str:
        """The question with its materials; none of them can close the tag that it stands in."""
        # one pass: what a material says is never taken for a placeholder
        return _PLACEHOLDER.sub(lambda found: _harmless(values[found[1]]) or NOTHING_GIVEN, self.template)

    def conditions(self, judge: JudgeEndpoint) -> JudgeConditions:
        """The verdicts' conditions with this prompt."""
        return JudgeConditions(
            model=judge.model,
            prompt=f"{self.name} v{self.version}",
            prompt_sha256=self.sha256,
            temperature=judge.temperature,
            max_tokens=judge.max_tokens,
            seed=judge.seed,
            readable_attempts=judge.readable_attempts,
        )


def _harmless(text: str) -> str:
    return re.sub(r"<(?=/?\s*(?:질문|답변|참고|채점|판단))", "〈", text.strip())


@cache
def load_prompt(name: str) -> Prompt:
    """The prompt of that name: a version, what the judge is, and the question."""
    raw = (FOLDER / f"{name}.txt").read_bytes()
    head, system, template = raw.decode().split("\n---\n")
    return Prompt(
        name=name,
        version=head.removeprefix("version:").strip(),
        sha256=hashlib.sha256(raw).hexdigest(),
        system=system.strip(),
        template=template.strip(),
    )
