"""The `jitr` command."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from jitr import __version__
from jitr.schemas.errors import (
    ConfigError,
    JitrError,
    NotFoundError,
    TransitionError,
    UnavailableError,
)

# verb -> module and function; loaded only when it is called, so that the command starts fast
# and the base install runs without what other verbs need
VERBS = {
    "demo": "jitr.cli.demo:demo",
    "scan": "jitr.cli.scan:scan",
    "up": "jitr.cli.serve:up",
    "worker": "jitr.cli.serve:worker",
    "gateway": "jitr.cli.serve:gateway",
    "publish": "jitr.cli.publish:publish",
    "tasks": "jitr.cli.tasks:tasks",
    "routes": "jitr.cli.routes:routes",
    "offers": "jitr.cli.routes:offers",
    "approve": "jitr.cli.commands:approve",
    "promote": "jitr.cli.commands:promote",
    "pause": "jitr.cli.commands:pause",
    "unpause": "jitr.cli.commands:unpause",
    "rollback": "jitr.cli.commands:rollback",
    "ledger": "jitr.cli.routes:ledger",
    "why": "jitr.cli.why:why",
    "dlq": "jitr.cli.dlq:dlq",
    "doctor": "jitr.cli.doctor:doctor",
    "config": "jitr.cli.config:config",
    "sandbox": "jitr.cli.sandbox:sandbox",
}
EXIT_CODES = "0 done, 1 failed, 2 wrong usage, 3 no such thing, 4 refused, 5 a server does not answer."
_CODES: dict[type[JitrError], int] = {NotFoundError: 3, TransitionError: 4, UnavailableError: 5}


class Verbs(click.Group):
    """The verbs of `VERBS`, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of a newcomer's day."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One verb, or None."""
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if missing.startswith("jitr"):
                raise
            return _missing(cmd_name, missing)
        return command


def _missing(verb: str, package: str) -> click.Command:
    """A verb whose packages are not installed: it says which extra brings them."""

    @click.command(verb, context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1)
    def absent(rest: Sequence[str]) -> None:
        raise ConfigError(f"`jitr {verb}` needs the package {package}: pip install 'jitr[sandbox]'")

    return absent


@click.group(cls=Verbs, epilog=f"Exit codes: {EXIT_CODES}", context_settings={"max_content_width": 110})
@click.version_option(__version__, message="jitr %(version)s")
def cli() -> None:
    """Replace an LLM, just in time, on the tasks that keep coming back.

    Start with `jitr demo`, or with `jitr scan LOG.jsonl` on your own log: neither needs a server.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; errors of ours end in one line on standard error and a stable exit code."""
    try:
        result = cli.main(args=list(argv) if argv is not None else None, standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except JitrError as error:
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), 1)
        click.echo(f"jitr: {error}", err=True)
        sys.exit(code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    else:
        sys.exit(result if isinstance(result, int) else 0)
