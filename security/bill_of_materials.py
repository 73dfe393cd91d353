"""What a model version is made of, as a CycloneDX 1.6 bill of materials for machine learning.

Written as JSON by hand: the libraries of the format have no model card.
"""

import uuid
from collections.abc import Mapping
from typing import Any

BILL_FILE = "bom.json"
NAMESPACE = uuid.UUID("5b6f0c0e-8a5d-4c7e-9c6b-0d1f2a3b4c5d")


def bill_of_materials(
    manifest: Mapping[str, Any], evaluation: list[tuple[str, float, int]], made_at: str
) -> dict[str, Any]:
    """The bill of a registered version from its manifest; the same manifest gives the same bill.

    `evaluation`: (suite, accuracy, cases) of each suite by which it was judged.
    """
    name, content = str(manifest["model_name"]), str(manifest["content_hash"])
    dataset, job = _object(manifest, "dataset"), _object(manifest, "job")
    run, mark = _object(manifest, "run"), _object(manifest, "watermark")
    base = {
        "type": "machine-learning-model",
        "bom-ref": "base-model",
        "name": str(manifest["base_model"]),
        **_hashes(run.get("base_model_sha256")),
    }
    data = {
        "type": "data",
        "bom-ref": "dataset",
        "name": str(dataset.get("name")),
        "version": str(dataset.get("version")),
        **_hashes(dataset.get("content_hash")),
        "data": [{"type": "dataset", "name": f"{dataset.get('name')} {dataset.get('version')}"}],
    }
    properties = {
        "tuneway:job": job.get("job_name"),
        "tuneway:recipe": run.get("recipe_name"),
        "tuneway:seed": run.get("seed"),
        "tuneway:code_revision": run.get("code_revision"),
        "tuneway:code_sha256": run.get("code_sha256"),
        "tuneway:weights_sha256": manifest.get("weights_sha256"),
        "tuneway:model_format": manifest.get("model_format"),
        "tuneway:watermark_commitment": mark.get("commitment"),
        "tuneway:watermark_scheme": mark.get("scheme"),
    }
    libraries = [
        {"type": "library", "bom-ref": f"library-{library}", "name": library, "version": str(version)}
        for library, version in sorted(_object(run, "libraries").items())
    ]
    model: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": name,
        "version": content[:8],
        **_hashes(content),
        "pedigree": {"ancestors": [base]},
        "properties": [{"name": key, "value": str(value)} for key, value in properties.items() if value is not None],
        "modelCard": {
            "modelParameters": {"task": "text-generation", "datasets": [{"ref": "dataset"}]},
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    {"type": "accuracy", "value": f"{accuracy:.6f}", "slice": f"{suite}, {cases} cases"}
                    for suite, accuracy, cases in evaluation
                ]
            },
        },
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, content)}",
        "version": 1,
        "metadata": {"timestamp": made_at, "component": model},
        "components": [data, *libraries],
        "dependencies": [{"ref": "model", "dependsOn": ["dataset", *(str(part["bom-ref"]) for part in libraries)]}],
    }


def _object(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _hashes(digest: object) -> dict[str, Any]:
    return {"hashes": [{"alg": "SHA-256", "content": str(digest)}]} if digest else {}
