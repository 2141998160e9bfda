"""`jitr worker`, `jitr gateway`, `jitr up`: the parts that run."""

from __future__ import annotations

import click
import msgspec

from jitr.cli.logs import log_to_stderr
from jitr.cli.options import PORT, with_settings
from jitr.schemas.settings import Settings

AGENTS = ("detect", "mine", "collect", "train", "audit", "control", "redis-sink")


@click.command()
@click.option(
    "--agents", default=",".join(AGENTS), show_default=True, help="Which agents, separated by commas."
)
@click.option("--port", type=PORT, default=None, help="Port of /metrics on loopback.")
@with_settings
def worker(settings: Settings, agents: str, port: int | None) -> None:
    """Run agents until SIGINT or SIGTERM. More workers share the work: start as many as you like."""
    chosen = [name.strip() for name in agents.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in AGENTS]
    if unknown or not chosen:
        raise click.BadParameter(f"{', '.join(unknown) or 'none given'}; known: {', '.join(AGENTS)}")
    from jitr.agents.process import run

    log_to_stderr(settings)
    if port is not None:
        settings = msgspec.structs.replace(
            settings, worker=msgspec.structs.replace(settings.worker, port=port)
        )
    run(settings, chosen)


@click.command()
@click.option("--host", default=None, help="Address to listen on; loopback by default.")
@click.option("--port", type=PORT, default=None, help="Port to listen on.")
@click.option("--upstream", default=None, metavar="URL", help="The LLM's base URL, ending in /v1.")
@with_settings
def gateway(settings: Settings, host: str | None, port: int | None, upstream: str | None) -> None:
    """Run the OpenAI-compatible gateway until SIGINT or SIGTERM.

    Point `base_url` of your OpenAI client at it; the key of your requests is passed on to the LLM.
    """
    from jitr.router.gateway.server import serve

    log_to_stderr(settings)
    given = {"host": host, "port": port, "upstream": upstream}
    changes = {name: value for name, value in given.items() if value is not None}
    serve(msgspec.structs.replace(settings, gateway=msgspec.structs.replace(settings.gateway, **changes)))


@click.command()
@click.option("--upstream", default=None, metavar="URL", help="The LLM's base URL, ending in /v1.")
@click.option("--port", type=PORT, default=None, help="Port of the gateway.")
@click.option(
    "--sandbox", is_flag=True, help="Bring a development broker and a Redis of our own, kept in .jitr/."
)
@with_settings
def up(settings: Settings, upstream: str | None, port: int | None, sandbox: bool) -> None:
    """Run a worker with all agents and the gateway, each a process, until SIGINT or SIGTERM.

    With --sandbox it needs no server. Nothing changes an answer until you `jitr approve` an offer.
    """
    from jitr.sandbox.stack import run

    log_to_stderr(settings)
    given = {"port": port, "upstream": upstream}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = msgspec.structs.replace(settings, gateway=msgspec.structs.replace(settings.gateway, **changes))
    run(settings, sandbox=sandbox, say=lambda text: click.echo(text, err=True))
