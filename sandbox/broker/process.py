"""The broker as a process: `python -m jitr.sandbox.broker --port P --data DIR`, or `jitr sandbox broker`."""

import asyncio
import signal
from pathlib import Path

import click

from jitr.sandbox.broker.node import BrokerLimits
from jitr.sandbox.broker.server import Broker
from jitr.schemas.errors import JitrError


async def serve(data_dir: Path, host: str, port: int, limits: BrokerLimits) -> None:
    """Run a broker until SIGINT or SIGTERM; prints `host:port` in one line when it is ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    broker = Broker(data_dir, host, port, limits=limits)
    await broker.start()
    try:
        click.echo(broker.bootstrap)
        await stop.wait()
    finally:
        await broker.stop()


@click.command("broker")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=9092,
    show_default=True,
    help="Port to listen on; 0 lets the system choose.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option(
    "--data",
    "data_dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".jitr/broker"),
    show_default=True,
    help="Folder of topics and offsets; kept over restarts.",
)
@click.option("--partitions", default=1, show_default=True, help="Partitions of topics created on first use.")
@click.option(
    "--auto-create/--no-auto-create", default=True, show_default=True, help="Create a topic on first use."
)
def main(port: int, host: str, data_dir: Path, partitions: int, auto_create: bool) -> None:
    """Run the Kafka-protocol development broker on loopback until Ctrl-C."""
    try:
        asyncio.run(
            serve(
                data_dir, host, port, BrokerLimits(auto_create_topics=auto_create, num_partitions=partitions)
            )
        )
    except (JitrError, OSError) as error:
        raise click.ClickException(str(error)) from error
