"""The bill of a version names what it was made of, and is the same for the same manifest."""

from security.bill_of_materials import bill_of_materials

MANIFEST = {
    "model_name": "regulations-assistant",
    "content_hash": "a" * 64,
    "model_format": "lora_adapter",
    "base_model": "Qwen/Qwen3-8B",
    "weights_sha256": "b" * 64,
    "dataset": {"name": "regulations", "version": "v1.2", "content_hash": "c" * 64},
    "job": {"job_name": "regulations-7"},
    "run": {
        "base_model_sha256": "d" * 64,
        "recipe_name": "qwen3-8b-lora",
        "seed": 0,
        "code_revision": "e" * 40,
        "code_sha256": "f" * 64,
        "libraries": {"torch": "2.13.0", "peft": "0.21.2"},
    },
    "watermark": {"commitment": "9" * 64, "scheme": "adapter-1"},
}


def test_base_model_dataset_recipe_code_and_evaluation_are_in_the_bill():
    bill = bill_of_materials(MANIFEST, [("regulations", 0.95, 200)], "2026-11-28T00:00:00+00:00")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    (base,) = model["pedigree"]["ancestors"]
    assert (base["name"], base["hashes"][0]["content"]) == ("Qwen/Qwen3-8B", "d" * 64)
    properties = {entry["name"]: entry["value"] for entry in model["properties"]}
    assert properties["tuneway:recipe"] == "qwen3-8b-lora"
    assert properties["tuneway:code_revision"] == "e" * 40
    assert properties["tuneway:watermark_commitment"] == "9" * 64
    (metric,) = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metric == {"type": "accuracy", "value": "0.950000", "slice": "regulations, 200 cases"}
    dataset, *libraries = bill["components"]
    assert (dataset["type"], dataset["version"], dataset["hashes"][0]["content"]) == ("data", "v1.2", "c" * 64)
    assert [(part["name"], part["version"]) for part in libraries] == [("peft", "0.21.2"), ("torch", "2.13.0")]
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": dataset["bom-ref"]}]
    references = [model["bom-ref"], base["bom-ref"], *(part["bom-ref"] for part in bill["components"])]
    assert len(references) == len(set(references))
    for entry in bill["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= set(references)


def test_the_same_manifest_gives_the_same_bill_and_what_is_not_known_is_left_out():
    when = "2026-11-28T00:00:00+00:00"
    assert bill_of_materials(MANIFEST, [], when) == bill_of_materials(MANIFEST, [], when)
    bare = bill_of_materials({**MANIFEST, "run": None, "watermark": None}, [], when)
    assert "hashes" not in bare["metadata"]["component"]["pedigree"]["ancestors"][0]
    assert len(bare["components"]) == 1
