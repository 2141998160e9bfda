"""The peers of redaction, in an environment of their own: texts as JSON in, what each found, and its time.

Answers `{system: {"found": [bool, ...], "us": microseconds a call}}`, without what is not installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def detect_secrets() -> Callable[[str], bool]:
    """Yelp's plug-ins, as they are by default."""
    from detect_secrets.core import scan
    from detect_secrets.settings import default_settings

    def finds(text: str) -> bool:
        with default_settings():
            return any(True for line in text.splitlines() for _ in scan.scan_line(line))

    return finds


def presidio() -> Callable[[str], bool]:
    """Microsoft's recognisers by pattern, of all countries, without a language model."""
    import presidio_analyzer
    from presidio_analyzer import predefined_recognizers as predefined

    kind = presidio_analyzer.PatternRecognizer
    made: list[Any] = []
    for name in dir(predefined):
        value = getattr(predefined, name)
        if isinstance(value, type) and issubclass(value, kind) and value is not kind:
            made.append(value())
    return lambda text: any(
        result.score >= 0.4
        for one in made
        for result in one.analyze(text, one.supported_entities, None) or ()
    )


def phone_numbers() -> Callable[[str], bool]:
    """Google's numbers, as written in the United States."""
    import phonenumbers

    return lambda text: any(True for _ in phonenumbers.PhoneNumberMatcher(text, "US"))


SYSTEMS = {"detect-secrets": detect_secrets, "presidio": presidio, "phonenumbers": phone_numbers}


def main() -> None:
    """Ask each."""
    asked = json.load(sys.stdin)
    answer = {}
    for name, make in SYSTEMS.items():
        try:
            finds = make()
        except ImportError:
            continue
        found = [finds(text) for text in asked["texts"]]
        took = []
        for text in asked["calls"]:
            before = time.thread_time()
            finds(text)
            took.append(time.thread_time() - before)
        answer[name] = {"found": found, "us": sorted(took)[len(took) // 2] * 1e6}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
