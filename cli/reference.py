"""The command's reference in Markdown, generated: `python -m jitr.cli.reference`."""

from __future__ import annotations

import click

from jitr.cli.main import EXIT_CODES, VERBS, cli


def pages() -> str:
    """Every verb's ``--help``, under a heading of its own."""
    out = ["# The `jitr` command", "", f"Exit codes: {EXIT_CODES}", ""]
    root = click.Context(cli, info_name="jitr", max_content_width=100)
    for name in VERBS:
        command = cli.get_command(root, name)
        if command is not None:
            out += _page(command, name, root)
    return "\n".join(out).rstrip() + "\n"


def _page(command: click.Command, name: str, parent: click.Context) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100)
    path = context.command_path
    out = [f"## {path}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            if inner is not None:
                out += _page(inner, sub, context)
    return out


if __name__ == "__main__":
    click.echo(pages(), nl=False)
