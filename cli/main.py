"""The `jitr` command."""

from __future__ import annotations

import importlib
import logging
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
from jitr.schemas.urls import safe_text

# Verb -> module and function, and what it does. A module is loaded when its verb is called, so that the
# command starts fast, and the base install runs without what other verbs need.
VERBS = {
    "demo": ("jitr.cli.verbs.demo:demo", "Run the whole loop on this machine; no server needed."),
    "scan": ("jitr.cli.verbs.scan:scan", "Read a log: the tasks in it, what they cost, what could be saved."),
    "fit": ("jitr.cli.verbs.fit:fit", "Train a surrogate from a file of answers, and prove it."),
    "card": ("jitr.cli.verbs.card:card", "One page about a surrogate."),
    "eject": ("jitr.cli.verbs.eject:eject", "Write a surrogate that answers without jitr."),
    "up": ("jitr.cli.verbs.serve:up", "Run worker and gateway, with --sandbox their servers too."),
    "worker": ("jitr.cli.verbs.serve:worker", "Run agents."),
    "gateway": ("jitr.cli.verbs.serve:gateway", "Run the OpenAI-compatible gateway."),
    "publish": ("jitr.cli.verbs.publish:publish", "Put a log of calls on the calls topic."),
    "tasks": ("jitr.cli.verbs.tasks:tasks", "The recurring tasks that were found."),
    "routes": ("jitr.cli.verbs.routes:routes", "Who answers each task, how well, and what it saved."),
    "offers": ("jitr.cli.verbs.routes:offers", "Certified surrogates that wait for a person's word."),
    "approve": ("jitr.cli.verbs.commands:approve", "Let a certified surrogate answer."),
    "promote": ("jitr.cli.verbs.commands:promote", "Let it answer all it accepts, now."),
    "pause": ("jitr.cli.verbs.commands:pause", "Send all calls of a task to the teacher."),
    "unpause": ("jitr.cli.verbs.commands:unpause", "Undo a pause."),
    "rollback": ("jitr.cli.verbs.commands:rollback", "Retire a task's surrogate."),
    "ledger": ("jitr.cli.verbs.routes:ledger", "Every transition, with its evidence."),
    "why": ("jitr.cli.verbs.why:why", "Who answered one call, and on what grounds."),
    "keys": ("jitr.cli.verbs.keys:keys", "Keys of the gateway's own: make, list, revoke them."),
    "dlq": ("jitr.cli.verbs.dlq:dlq", "Events that could not be used."),
    "encoders": ("jitr.cli.verbs.encoders:encoders", "Encoders to train on: those known, and more of them."),
    "doctor": ("jitr.cli.verbs.doctor:doctor", "What is here, what is missing, and the mend."),
    "config": ("jitr.cli.verbs.config:config", "The settings in force."),
    "sandbox": (
        "jitr.cli.verbs.sandbox:sandbox",
        "Parts for one machine: broker, Redis, simulated LLM, traffic.",
    ),
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
        module, _, name = VERBS[cmd_name][0].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if missing.startswith("jitr"):
                raise
            return _missing(cmd_name, missing)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without loading them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, says) for name, (_, says) in VERBS.items()])


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
    # what it says of a server that does not answer is said by us; workers and gateways log it all the same
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        result = cli.main(args=list(argv) if argv is not None else None, standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except JitrError as error:
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), 1)
        click.echo(f"jitr: {safe_text(str(error))}", err=True)
        sys.exit(code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # a port that is taken, a folder that may not be written, a disk that is full: the world's, not ours
        click.echo(f"jitr: {safe_text(str(error))}", err=True)
        sys.exit(1)
    else:
        sys.exit(result if isinstance(result, int) else 0)
