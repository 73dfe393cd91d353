"""The known facts: what the base model is pretrained on, and what it must not forget (`known_facts.yaml`)."""

import random
from functools import cache
from pathlib import Path

import yaml

from demo.facts import Fact
from demo.forms import load_forms

KNOWN_FACTS_FILE = Path(__file__).with_name("known_facts.yaml")
FIRST_EXTENSION, LAST_EXTENSION = 3000, 7999
LAST_FORM = 99


@cache
def load_known_facts() -> tuple[Fact, ...]:
    """Every known fact; the values are drawn once from the lists of the file, the same on every machine."""
    content = yaml.safe_load(KNOWN_FACTS_FILE.read_text(encoding="utf-8"))
    entities = [(category, entity) for category, names in content["entities"].items() for entity in names]
    rng = random.Random("known facts")
    extensions = rng.sample(range(FIRST_EXTENSION, LAST_EXTENSION + 1), len(entities))
    facts: list[Fact] = []
    for (category, entity), extension in zip(entities, extensions, strict=True):
        values = {
            "department": rng.choice(content["departments"]),
            "deadline": rng.choice(content["deadlines"]),
            "extension": str(extension),
            "retention": rng.choice(content["retentions"]),
            "form": f"제{rng.randint(1, LAST_FORM)}호",
        }
        source = f"{category}/상담이력"
        facts.extend(Fact(entity, attribute, values[attribute], category, source) for attribute in load_forms())
    return tuple(facts)


def kept_back_form(index: int, fact: Fact) -> str:
    """The held form kept back for testing the known fact number `index`: never asked of it in any training."""
    held = load_forms()[fact.attribute].held
    return held[index % len(held)]


def pretraining_forms(index: int, fact: Fact) -> list[str]:
    """The forms in which pretraining asks the known fact number `index`."""
    forms = load_forms()[fact.attribute]
    kept_back = kept_back_form(index, fact)
    return [form for form in (*forms.train, *forms.held, *forms.extra) if form != kept_back]
