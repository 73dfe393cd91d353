"""The new facts: what the demo's documents say and the base model has never read (`facts/*.yaml`)."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

DEMO_FOLDER = Path(__file__).parent
FACTS_FOLDER = DEMO_FOLDER / "facts"
DOCUMENTS_FOLDER = DEMO_FOLDER / "documents"
CATEGORIES = ("tolls", "safety", "contracts", "maintenance", "privacy", "service")
DOCUMENTS_PER_CATEGORY = 7
VALUE_PATTERNS = {
    "department": r"[가-힣]+(?:처|실|팀|단|센터|본부)",
    "deadline": r"[1-9]\d*(?:시간|일|개월)",
    "extension": r"[1-9]\d{3}",
    "retention": r"[1-9]\d*년",
    "form": r"제[1-9]\d*호",
}
"""Attribute → what its values look like (whole value)."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to know: the value of one attribute of one entity."""

    entity: str
    attribute: str
    value: str
    category: str
    source: str
    """Where it is written, e.g. `tolls/toll-unpaid-installment.md`."""


@dataclass(frozen=True, slots=True)
class Document:
    """One regulation with its facts."""

    id: str
    category: str
    entity: str
    title: str
    format: str
    facts: dict[str, str]

    @property
    def source(self) -> str:
        """Path below the documents folder."""
        return f"{self.category}/{self.id}.{self.format}"


@cache
def load_documents() -> tuple[Document, ...]:
    """All documents, category by category."""
    documents: list[Document] = []
    for category in CATEGORIES:
        content = yaml.safe_load((FACTS_FOLDER / f"{category}.yaml").read_text(encoding="utf-8"))
        documents.extend(Document(category=content["category"], **entry) for entry in content["documents"])
    return tuple(documents)


@cache
def load_facts() -> tuple[Fact, ...]:
    """Every new fact, in the order of the documents and of their attributes."""
    return tuple(
        Fact(document.entity, attribute, value, document.category, document.source)
        for document in load_documents()
        for attribute, value in document.facts.items()
    )


def find_problems(documents: tuple[Document, ...]) -> list[str]:
    """What is wrong with the documents' facts, one sentence each; empty when they can be learnt and tested."""
    problems = []
    per_category = Counter(document.category for document in documents)
    for category in CATEGORIES:
        if per_category[category] != DOCUMENTS_PER_CATEGORY:
            problems.append(f"{category}: {per_category[category]} documents, must be {DOCUMENTS_PER_CATEGORY}")
    for document in documents:
        if document.format not in {"md", "txt"}:
            problems.append(f"{document.id}: format {document.format!r}, allowed are md and txt")
        if list(document.facts) != list(VALUE_PATTERNS):
            problems.append(f"{document.id}: attributes {list(document.facts)}, must be {list(VALUE_PATTERNS)}")
        for attribute, value in document.facts.items():
            pattern = VALUE_PATTERNS.get(attribute, "")
            if not isinstance(value, str) or not re.fullmatch(pattern, value):
                problems.append(f"{document.id}: {attribute} is {value!r}, must be text that matches {pattern}")
    unique = {
        "id": [document.id for document in documents],
        "entity (spaces left out)": [document.entity.replace(" ", "") for document in documents],
        "extension": [document.facts["extension"] for document in documents],
    }
    for name, values in unique.items():
        problems.extend(f"{name} {value!r} occurs {n} times" for value, n in Counter(values).items() if n > 1)
    return problems
