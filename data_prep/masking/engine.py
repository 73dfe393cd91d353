"""Presidio with our recognisers of Korean identifiers, behind a prefilter."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_prep.masking.recogniser import Find


class Engine:
    """Presidio's registry of our recognisers.

    `finds` asks the recognisers that the prefilter names, which is what takes the time of a million rows. `analyzer` is
    Presidio's own engine over the same registry, for whoever wants its interface; both find the same.
    """

    def __init__(self, *, representative_numbers: bool) -> None:
        with language_models_hidden():
            from presidio_analyzer import RecognizerRegistry

        from data_prep.masking.addresses import address_recogniser
        from data_prep.masking.identifiers import recognisers
        from data_prep.masking.prefilter import Prefilter
        from data_prep.masking.recogniser import LANGUAGE, Windows

        self._windows_of = Windows
        self.recognisers = [*recognisers(representative_numbers=representative_numbers), address_recogniser()]
        self.registry: Any = RecognizerRegistry(recognizers=list(self.recognisers), supported_languages=[LANGUAGE])
        self._prefilter = Prefilter(self.recognisers)

    def finds(self, shadow: str) -> list["Find"]:
        """Identifiers in a shadow; they may overlap."""
        through = self._prefilter.open_for(shadow)
        if not through:
            return []
        windows = self._windows_of(shadow)
        return [found for recogniser in through for found in recogniser.finds(shadow, windows)]

    @cached_property
    def analyzer(self) -> Any:
        """Presidio's AnalyzerEngine with these recognisers and no language model: nothing is downloaded."""
        with language_models_hidden():
            from presidio_analyzer import AnalyzerEngine
            from presidio_analyzer.nlp_engine import NoOpNlpEngine

        from data_prep.masking.recogniser import LANGUAGE

        engine = NoOpNlpEngine(models=[{"lang_code": LANGUAGE, "model_name": ""}])
        return AnalyzerEngine(registry=self.registry, nlp_engine=engine, supported_languages=[LANGUAGE])


@lru_cache(maxsize=2)
def engine(*, representative_numbers: bool = False) -> Engine:
    """The engine of this process. Importing Presidio takes seconds, so it happens with the first text that needs it."""
    return Engine(representative_numbers=representative_numbers)


@contextmanager
def language_models_hidden() -> Iterator[None]:
    """Presidio's import takes every language model library that is installed with it.

    We use none: without torch and transformers the import takes 2.0 s and 133 MB instead of 5.8 s and 438 MB of CPU
    time and memory. Libraries that this process has loaded already stay as they are.
    """
    hidden = [name for name in ("torch", "transformers", "stanza") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # documented: importing it then raises ImportError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
