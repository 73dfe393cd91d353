"""What an installation is made of, as a CycloneDX 1.6 bill of materials: the libraries, each with licence and hash.

Written by hand beside `bill_of_materials.py`: the libraries of the format bring an XML parser that nothing else here needs.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMESPACE = uuid.UUID("0f5d3b8e-1f7c-4c0a-9a53-7f6f1d2e8b64")


@dataclass(frozen=True, slots=True)
class Part:
    """One library or program of an installation."""

    kind: str
    """`library` or `application`"""
    ecosystem: str
    """Of the package URL: `pypi`, `npm`."""
    name: str
    version: str
    sha256: str
    file: str
    metadata: str = ""
    """A wheel's METADATA."""


def software_bill(name: str, version: str, made_at: str, parts: Sequence[Part]) -> dict[str, Any]:
    """The bill of an installation; the same parts give the same bill."""
    components = [_component(part) for part in parts]
    content = "\n".join(part.sha256 for part in parts)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, f'{name} {version} {content}')}",
        "version": 1,
        "metadata": {
            "timestamp": made_at,
            "component": {"type": "application", "bom-ref": name, "name": name, "version": version},
        },
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def _component(part: Part) -> dict[str, Any]:
    # names and versions as the specification of package URLs has them: percent-encoded, a scope's slash stays
    address = f"pkg:{part.ecosystem}/{quote(part.name, safe='/')}@{quote(part.version, safe='')}"
    return {
        "type": part.kind,
        "bom-ref": f"{address}#{part.file}",
        "name": part.name,
        "version": part.version,
        "purl": address,
        "hashes": [{"alg": "SHA-256", "content": part.sha256}],
        **_licence(part.metadata),
        "properties": [{"name": "tuneway:file", "value": part.file}],
    }


def _licence(metadata: str) -> dict[str, Any]:
    """An SPDX expression where the package gives one, else the name that it gives, else that of its classifier."""
    headers = HeaderParser().parsestr(metadata)
    if expression := headers.get("License-Expression"):
        return {"licenses": [{"expression": expression.strip()}]}
    classified = [
        value.rpartition("::")[2].strip()
        for value in headers.get_all("Classifier", [])
        if value.startswith("License ::") and value.count("::") > 1
    ]
    # some packages put the licence's whole text there
    told = (headers.get("License") or "").strip()
    names = classified or ([told] if told and "\n" not in told and len(told) <= 100 else [])
    return {"licenses": [{"license": {"name": one}} for one in names]} if names else {}
