"""`jitr keys`: keys of the gateway's own, for `gateway.callers = "keys"`."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
from redis.exceptions import RedisError

from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, moment, print_json, table, usd
from jitr.router.callers.keyring import Keyring, new_key, revocable
from jitr.router.servers.redis import connect, why
from jitr.schemas.errors import UnavailableError
from jitr.schemas.keys import GatewayKey
from jitr.schemas.settings import Settings

T = TypeVar("T")
dry_option = click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")


@click.group()
def keys() -> None:
    """Keys of the gateway's own: hashed in Redis, in force at every gateway within a second.

    They are asked for where `gateway.callers` is "keys"; then the LLM's key stays in the gateway.
    """


@keys.command()
@click.option("--tenant", default="default", show_default=True, help="Whose tasks its calls are.")
@click.option("--name", default="", help="For whom or what it is; shown by `jitr keys list`.")
@click.option("--requests-per-min", type=click.IntRange(min=1), help="Beyond it: 429 with Retry-After.")
@click.option(
    "--usd-per-day",
    type=click.FloatRange(min=0),
    help="What its calls may cost on a day of UTC; it then calls chat completions only.",
)
@dry_option
@json_option
@with_settings
def create(
    settings: Settings,
    tenant: str,
    name: str,
    requests_per_min: int | None,
    usd_per_day: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a key and show it, this once."""
    fields: dict[str, Any] = {
        "name": name,
        "by": getpass.getuser(),
        "requests_per_min": requests_per_min,
        "usd_per_day": usd_per_day,
    }
    if dry_run:
        made, shown = new_key(tenant, **fields)[0], None
    else:
        made, shown = _asked(settings, lambda ring: ring.create(tenant, **fields))
    if as_json:
        print_json({"key": shown, "record": _public(made), "created": not dry_run})
    elif shown is None:
        click.echo(f"a key for {tenant} would be made")
    else:
        click.echo(f"key {made.id} of {tenant}; it is shown this once:", err=True)
        click.echo(shown)
    if settings.gateway.callers != "keys" and not as_json:
        click.echo('no gateway asks for it before gateway.callers = "keys" is set', err=True)


@keys.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that were revoked.")
@json_option
@with_settings
def list_keys(settings: Settings, every: bool, as_json: bool) -> None:
    """List the keys by their ids, with what they may use and have used today; never the keys themselves."""

    async def ask(ring: Keyring) -> tuple[dict[str, GatewayKey], dict[str, float]]:
        return await ring.all(), await ring.usd_today(int(time.time() // 86_400))

    found, spent = _asked(settings, ask)
    shown = sorted((k for k in found.values() if every or k.revoked is None), key=lambda k: k.created)
    if as_json:
        print_json([_public(key) | {"usd_today": spent.get(key.id, 0.0)} for key in shown])
        return
    lines = [
        (
            key.id,
            key.tenant,
            key.name,
            moment(key.created),
            key.by,
            key.requests_per_min or "",
            f"{usd(spent.get(key.id, 0.0))} of {usd(key.usd_per_day)}" if key.usd_per_day is not None else "",
            f"revoked {moment(key.revoked)}" if key.revoked is not None else "",
        )
        for key in shown
    ]
    columns = ["key", "tenant", "~name", "made", "by", ">requests/min", ">today", ""]
    console().print(table(f"{len(shown)} keys of the gateway", columns, lines))


@keys.command()
@click.argument("key_id")
@dry_option
@json_option
@with_settings
def revoke(settings: Settings, key_id: str, dry_run: bool, as_json: bool) -> None:
    """Let the key KEY_ID be good no longer; it stays on the list as revoked."""

    async def ask(ring: Keyring) -> GatewayKey:
        return revocable(key_id, await ring.all()) if dry_run else await ring.revoke(key_id)

    gone = _asked(settings, ask)
    if as_json:
        print_json({"record": _public(gone), "revoked": not dry_run})
    else:
        click.echo(f"key {gone.id} of {gone.tenant} {'would be' if dry_run else 'is'} revoked")


def _public(key: GatewayKey) -> dict[str, object]:
    return {name: getattr(key, name) for name in key.__struct_fields__ if name != "digest"}


def _asked(settings: Settings, ask: Callable[[Keyring], Awaitable[T]]) -> T:
    async def run() -> T:
        client = connect(settings.redis)
        try:
            return await ask(Keyring(client, settings.redis.prefix))
        except (RedisError, OSError) as error:
            raise UnavailableError(why(settings.redis, error)) from error
        finally:
            await client.aclose()

    return asyncio.run(run())
