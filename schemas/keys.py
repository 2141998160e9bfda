"""A key of the gateway's own: whose it is, what it may use, and the hash that it is known by."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from jitr.schemas.record import Record


class GatewayKey(Record, frozen=True, kw_only=True):
    """What is stored of a key; the key itself is shown once and kept nowhere.

    ``digest`` is the sha256 of the whole key. ``requests_per_min`` and ``usd_per_day`` (a day of UTC) bound
    what it may use at all gateways together; None where nothing bounds it. ``revoked`` is when it ceased to
    be good, in seconds since the epoch.
    """

    id: str
    tenant: str
    digest: str
    name: str = ""
    created: float = 0.0
    by: str = ""
    requests_per_min: Annotated[int, Meta(ge=1)] | None = None
    usd_per_day: Annotated[float, Meta(ge=0)] | None = None
    revoked: float | None = None
