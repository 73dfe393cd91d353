"""The forms in which an attribute is asked and answered, read from `forms.yaml`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from demo.korean import Word

FORMS_FILE = Path(__file__).with_name("forms.yaml")


@dataclass(frozen=True, slots=True)
class AttributeForms:
    """Question forms of one attribute in four disjoint groups, and its answer forms."""

    label: str
    train: tuple[str, ...]
    held: tuple[str, ...]
    extra: tuple[str, ...]
    unseen: tuple[str, ...]
    answers: tuple[str, ...]


@cache
def load_forms() -> dict[str, AttributeForms]:
    """Attribute → its forms, in the order of the file."""
    content = yaml.safe_load(FORMS_FILE.read_text(encoding="utf-8"))
    return {
        attribute: AttributeForms(
            label=groups["label"], **{name: tuple(forms) for name, forms in groups.items() if name != "label"}
        )
        for attribute, groups in content.items()
    }


def ask(form: str, entity: str) -> str:
    """The question about the entity, particles fitted."""
    return form.format(e=Word(entity))


def answer(form: str, value: str) -> str:
    """The sentence that gives the value, particles fitted."""
    return form.format(v=Word(value))
