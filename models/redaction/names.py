"""Names of people leave a text, found by a spaCy pipeline that whoever runs this has chosen and installed."""

from __future__ import annotations

from typing import Any

from jitr.schemas.errors import ConfigError

_LONGEST = 100_000
_PEOPLE = frozenset({"PERSON", "PER"})
_UNUSED = ("tagger", "parser", "lemmatizer", "attribute_ruler", "morphologizer", "textcat")


class Names:
    """Replaces names of people by ``[name]``.

    A pipeline of spaCy's small models takes about a millisecond for a hundred words, and misses some names:
    it is off unless it is asked for.

    Parameters
    ----------
    pipeline : str
        Name of an installed spaCy pipeline that finds entities (``en_core_web_sm``), or its folder.

    Raises
    ------
    ConfigError
        spaCy or the pipeline is not installed, or the pipeline finds no entities.
    """

    def __init__(self, pipeline: str) -> None:
        try:
            import spacy
        except ImportError as error:
            raise ConfigError(
                f"redact_names = {pipeline!r} needs `pip install jitr[names]`: {error}; or leave it empty"
            ) from error
        try:
            self._nlp: Any = spacy.load(pipeline, exclude=list(_UNUSED))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"redact_names = {pipeline!r} is no pipeline that spaCy can load: {error};"
                f" install it, for example with `python -m spacy download {pipeline}`"
            ) from error
        if not {"ner", "entity_ruler"} & set(self._nlp.pipe_names):
            raise ConfigError(f"redact_names = {pipeline!r} finds no entities; name a pipeline with `ner`")

    def __call__(self, text: str) -> str:
        """The text without the names found in it; what was redacted before stays as it is."""
        found = []
        for start in range(0, len(text), _LONGEST):
            for entity in self._nlp(text[start : start + _LONGEST]).ents:
                if entity.label_ in _PEOPLE and not {"[", "]"} & set(entity.text):
                    found.append((start + entity.start_char, start + entity.end_char))
        for start, end in reversed(found):
            text = f"{text[:start]}[name]{text[end:]}"
        return text
