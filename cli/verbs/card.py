"""`jitr card`: one page about a surrogate."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.markdown import Markdown

from jitr.cli.options import json_option
from jitr.cli.output import console, print_json
from jitr.models.surrogates.artifact.artifact import CARD, read_manifest, read_measured, read_payload
from jitr.models.surrogates.artifact.certificate import read_certificate
from jitr.models.surrogates.artifact.plots import plot_link, plots
from jitr.models.surrogates.artifact.proof_history import ProofHistory
from jitr.schemas.errors import ArtifactError

_CERTIFICATE = "\n## Certificate\n"
_NONE = (
    "There is no certificate here. What is proved of a task on the stream is in its route (`jitr routes`)."
)


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write card and plots (SVG) here."
)
@json_option
def card(path: Path, out: Path | None, as_json: bool) -> None:
    """Show the card of the surrogate in PATH, its files verified; with --out, write it with its plots."""
    manifest, digest = read_manifest(path)
    read_payload(path, manifest)
    certificate = read_certificate(path)
    if certificate is not None and certificate.digest != digest:
        raise ArtifactError(f"the certificate in {path} is of another surrogate; certify it again")
    measured = read_measured(path)
    if as_json:
        if certificate is not None:  # the rows that it remembers are for the next fit, and may be many
            certificate = msgspec.structs.replace(certificate, proof_history=ProofHistory())
        print_json({"manifest": manifest, "measured": measured, "certificate": certificate, "digest": digest})
        return
    text = (path / CARD).read_text(encoding="utf-8") if (path / CARD).is_file() else ""
    proves = certificate.proves if certificate is not None else _NONE
    text = text.partition(_CERTIFICATE)[0]  # written with `--out` into the surrogate's own folder, it has one
    lines = [text.rstrip(), "", _CERTIFICATE.strip(), "", proves]
    if certificate is not None and certificate.slices:
        lines += ["", "| label | accepted | agreed | bound |", "|---|---|---|---|"]
        lines += [
            f"| {s.label[:80]} | {s.calls} | {s.agreed / s.calls:.3f} | {s.bound:.3f} |"
            for s in certificate.slices
        ]
    if out is None:
        shown = [line for line in "\n".join(lines).splitlines() if not line.startswith("![")]
        console().print(Markdown("\n".join(shown)))
        return
    drawn = plots(manifest, measured)
    out.mkdir(parents=True, exist_ok=True)
    for name, svg in drawn.items():
        (out / f"{name}.svg").write_text(svg, encoding="utf-8")
        # a card of before there were plots beside it has no links
        lines += [] if f"({name}.svg)" in text else plot_link(name, drawn)
    (out / CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")
    console().print(f"written to {out / CARD}")
