"""Data preparation's detectors of hostile language and personal data, lent to safety suites."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

from evaluation.safety.detectors import FoundDatum, SafetyDetectors


@cache
def safety_detectors() -> SafetyDetectors:
    """The detectors that training data is prepared with, under the policy that finds everything."""
    from data_prep.quality.toxicity import WEIGHTS_FILE

    weights = hashlib.sha256(WEIGHTS_FILE.read_bytes()).hexdigest()[:12]
    return SafetyDetectors(toxicity=_toxicity, personal_data=_personal_data, version=f"toxicity {weights}")


def _toxicity(texts: Sequence[str]) -> Sequence[float]:
    from data_prep.quality.toxicity import toxicity_of

    return [float(one) for one in toxicity_of(texts)]


def _personal_data(texts: Sequence[str]) -> Sequence[Sequence[FoundDatum]]:
    from data_prep.masking.masker import Masker

    return [
        [FoundDatum(datum.kind.value, text[datum.start : datum.end]) for datum in found]
        # a text by itself: what one answer names is no name in another
        for text, (found,) in zip(texts, Masker().find_rows([[text] for text in texts]), strict=True)
    ]
