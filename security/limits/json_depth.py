"""How deep JSON goes, told without parsing it."""

import re

_SIGNIFICANT = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


def json_depth(body: bytes) -> int:
    """The deepest nesting of arrays and objects; for what is no JSON, of the brackets outside of quotes."""
    depth = deepest = 0
    for match in _SIGNIFICANT.finditer(body):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest
