"""Addresses without what is secret in them: what is printed, logged or raised shows URLs through here."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"
_URL: Final = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,31}://[^\s'\"<>]*")


def safe_url(url: str) -> str:
    """A URL without its password and the values of its query.

    Parameters
    ----------
    url : str
        With or without a scheme, or several with commas between. It need not be valid: all that stands before
        the last ``@`` is taken for credentials, as passwords hold signs that should have been escaped.

    Examples
    --------
    >>> safe_url("redis://me:secret@host:1/0?ssl_cert_reqs=none"), safe_url("https://token@host/v1")
    ('redis://me:***@host:1/0?ssl_cert_reqs=***', 'https://***@host/v1')
    >>> safe_url("ann:pa/ss@w@host:9092,other:9092"), safe_url("http://127.0.0.1:8000/v1")
    ('ann:***@host:9092,other:9092', 'http://127.0.0.1:8000/v1')
    >>> safe_url("https://me:w?at@host/v1")  # is it a password or a query?
    'https://***'
    """
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    rest, question, query = rest.partition("?")
    if "@" in query:
        return f"{scheme}{mark}{HIDDEN}"
    credentials, at, host = rest.rpartition("@")
    if at:
        user, colon, _ = credentials.partition(":")
        credentials = f"{user}:{HIDDEN}" if colon else HIDDEN
    values = re.sub(r"=[^&;#]*", f"={HIDDEN}", query) if "=" in query else HIDDEN if query else ""
    return f"{scheme}{mark}{credentials}{at}{host}{question}{values}"


def safe_text(text: str) -> str:
    """A text in which every URL is safe.

    Examples
    --------
    >>> safe_text("cannot reach 'https://a:b@host/v1?key=1': refused")
    "cannot reach 'https://a:***@host/v1?key=***': refused"
    """
    return _URL.sub(lambda found: safe_url(found.group()), text) if "://" in text else text
