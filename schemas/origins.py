"""Which pages may talk to a server of ours: names in `Host`, and in `Origin`.

A page of a stranger in somebody's browser reaches every server that the browser reaches. It cannot lie about
its `Origin`, and when its name is made to point at the server (DNS rebinding) that name stands in `Host`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import ip_address

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def stranger(
    hosts: Sequence[str],
    origins: Sequence[str],
    *,
    bound: str,
    reached: str = "",
    allowed_hosts: Collection[str] = (),
    allowed_origins: Collection[str] = (),
) -> str | None:
    """Why a request is not served, or None.

    Bound to loopback, names of loopback are served and nothing else. Bound to another address, any `Host` is,
    for who is behind a cluster's names cannot list them, unless ``allowed_hosts`` is set; and no `Origin`.

    Parameters
    ----------
    hosts, origins : sequence of str
        Every `Host` and every `Origin` of the request.
    bound : str
        The name or address that the server listens on.
    reached : str
        The address at which this connection came in: a name that was made to point here never is one.
    allowed_hosts, allowed_origins : collection of str
        Names (with or without a port), and origins such as ``https://app.example``; ``*`` is any.

    Examples
    --------
    >>> stranger(["localhost:8080"], [], bound="127.0.0.1") is None
    True
    >>> stranger(["evil.example"], [], bound="127.0.0.1")
    'Host evil.example is not allowed here'
    >>> stranger(["jitr.svc:8080"], [], bound="0.0.0.0") is None
    True
    >>> stranger(["jitr.svc"], ["https://evil.example"], bound="0.0.0.0")
    'Origin https://evil.example is not allowed here'
    """
    local = _is_loopback(bound)
    if (local or allowed_hosts) and "*" not in allowed_hosts:
        named = {host.lower() for host in allowed_hosts}
        for host in hosts:
            name = _name(host)
            ours = name and (name in (bound.lower(), reached.lower()) or (local and name in _LOOPBACK))
            if not ours and name not in named and host.lower() not in named:
                return f"Host {host[:100]} is not allowed here"
    if "*" not in allowed_origins:
        for origin in origins:
            scheme, _, rest = origin.lower().partition("://")
            ours = local and scheme in ("http", "https") and _name(rest) in _LOOPBACK
            if not ours and origin.lower() not in {o.lower().rstrip("/") for o in allowed_origins}:
                return f"Origin {origin[:100]} is not allowed here"
    return None


def _name(host: str) -> str:
    """A host without its port, an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def _is_loopback(bound: str) -> bool:
    if bound.lower() == "localhost":
        return True
    try:
        return ip_address(bound).is_loopback
    except ValueError:
        return False
