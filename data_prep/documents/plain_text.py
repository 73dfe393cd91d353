"""Plain text to blocks: paragraphs between empty lines, the first line as the title where it is one."""

import re

from data_prep.documents.chunks import Block, BlockKind
from data_prep.documents.structure import begins_a_division, begins_an_item, ends_a_sentence
from data_prep.documents.texts import clean

_PARAGRAPHS = re.compile(r"\n[ \t]*\n+")
_TITLE_CHARACTERS = 60


def plain_text_blocks(text: str) -> list[Block]:
    """The paragraphs of a text."""
    paragraphs = [cleaned for part in _PARAGRAPHS.split(clean(text)) if (cleaned := part.strip())]
    blocks = [Block(BlockKind.PARAGRAPH, paragraph) for paragraph in paragraphs]
    if len(blocks) > 1 and _is_title(blocks[0].text):
        blocks[0] = Block(BlockKind.HEADING, blocks[0].text, 1)
    return blocks


def _is_title(text: str) -> bool:
    """One short line that is no sentence, no item of a list and no article, and no field of a letter's head."""
    return (
        "\n" not in text
        and len(text) <= _TITLE_CHARACTERS
        and not ends_a_sentence(text)
        and not begins_an_item(text)
        and not begins_a_division(text)
    )
