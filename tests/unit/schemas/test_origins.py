"""Which `Host` and `Origin` are served, on loopback and elsewhere."""

import pytest

from jitr.schemas.origins import stranger


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "::1", "127.0.0.5:80"],
)
def test_on_loopback_its_names_are_served(host: str) -> None:
    assert stranger([host], [], bound="127.0.0.1", reached="127.0.0.5") is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "10.0.0.1",
        "[::2]",
        "",
        "localhost evil.example",
        "localhost.",
    ],
)
def test_on_loopback_no_other_name_is(host: str) -> None:
    assert "is not allowed" in (stranger([host], [], bound="127.0.0.1") or "")
    assert "is not allowed" in (stranger(["localhost", host], [], bound="localhost") or "")


@pytest.mark.parametrize("host", ["jitr.ns.svc:8080", "10.1.2.3:8080", "evil.example"])
def test_on_another_address_any_host_is_served_unless_some_are_named(host: str) -> None:
    assert stranger([host], [], bound="0.0.0.0") is None
    named = stranger([host], [], bound="0.0.0.0", reached="10.1.2.3", allowed_hosts=("jitr.ns.svc",))
    # a probe asks for the pod's own address, which no name of a stranger's is
    assert (named is None) is (host != "evil.example")


@pytest.mark.parametrize(
    ("origin", "bound", "allowed", "served"),
    [
        ("http://localhost:3000", "127.0.0.1", (), True),
        ("http://localhost:3000", "0.0.0.0", (), False),
        ("https://evil.example", "127.0.0.1", (), False),
        ("http://localhost.evil.example", "127.0.0.1", (), False),
        ("null", "127.0.0.1", (), False),
        ("file://", "127.0.0.1", (), False),
        ("chrome-extension://localhost", "127.0.0.1", (), False),
        ("https://app.example", "0.0.0.0", ("https://app.example/",), True),
        ("https://APP.example", "0.0.0.0", ("https://app.example",), True),
        ("http://app.example", "0.0.0.0", ("https://app.example",), False),
        ("https://app.example:8443", "0.0.0.0", ("https://app.example",), False),
        ("https://evil.example", "0.0.0.0", ("*",), True),
    ],
)
def test_an_origin_is_served_where_it_is_loopbacks_or_named(
    origin: str, bound: str, allowed: tuple[str, ...], served: bool
) -> None:
    said = stranger(["localhost"], [origin], bound=bound, allowed_origins=allowed)
    assert (said is None) is served
