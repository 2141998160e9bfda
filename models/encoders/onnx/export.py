"""Any Hugging Face encoder: exported to ONNX by torch, checked equal, served without torch.

Needs the extra `[train]`. The folder that comes out (``model.onnx``, ``tokenizer.json``, ``encoder.json``,
and the upper layers of a BERT, which may be tuned) is given to `Weights(folders=[...])`, which knows the
encoder by its name from then on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jitr.models.encoders.onnx.encoder import OnnxEncoder
from jitr.models.encoders.registry import EncoderSpec, UpperSpec, WeightFile
from jitr.schemas.errors import WeightsError

_LARGEST_DIFFERENCE = 1e-3
_LEAST_COSINE = 0.95
_SAMPLE = ("Where is my card?", "a", "The quick brown fox jumps over the lazy dog. " * 8, "日本語 – 42 €")


def export(
    source: str | Path,
    folder: Path,
    name: str,
    *,
    max_tokens: int = 128,
    prefix: str = "",
    revision: str | None = None,
    inner_layers: int = 3,
    chunks: int = 1,
    quantise: bool = False,
    sample: Sequence[str] = _SAMPLE,
    progress: Callable[[str], None] = lambda stage: None,
) -> EncoderSpec:
    """Export an encoder and describe it.

    Parameters
    ----------
    source : str or Path
        A Hugging Face id, or a folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
    folder : Path
        Where the encoder is written; made if missing.
    name : str
        By which candidates and artifacts call it.
    max_tokens, prefix
        See `OnnxEncoder`.
    revision : str, optional
        Commit of the hub's repository; name one, or the same id may be other weights tomorrow.
    inner_layers : int
        How many layers below the last are kept as views, and how many upper ones may be tuned.
    chunks : int
        Most chunks of a long text; see `OnnxEncoder`.
    quantise : bool
        Whether weights become int8 after the check, and are multiplied in int8: a quarter of the size and
        faster; `EncoderSpec.cosine` says what it changed.
    sample : sequence of str
        Texts on which both must give the same vectors.
    progress : callable
        Told what is being done, before it is.

    Raises
    ------
    WeightsError
        torch is missing, the source cannot be loaded or exported, or the exported model answers otherwise.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch's exporter is written in it
        import torch
        import transformers
    except ImportError as error:
        raise WeightsError(f"exporting an encoder needs `pip install 'jitr[train]'`: {error}") from error
    progress("loading it into torch")
    try:
        model: Any = transformers.AutoModel.from_pretrained(
            str(source), revision=revision, attn_implementation="eager", use_safetensors=True
        ).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(source), revision=revision)
    except Exception as error:  # those of transformers, tokenizers and safetensors have no common root
        raise WeightsError(
            f"{source} cannot be loaded: {_line(error)}; give a folder with config.json, model.safetensors"
            " and tokenizer.json, or a Hugging Face id that the hub or its cache has"
        ) from error
    positions = getattr(model.config, "max_position_embeddings", max_tokens)
    room = min(tokenizer.model_max_length, positions)
    if max_tokens > room:
        raise WeightsError(
            f"{source} reads at most {room} tokens, max_tokens={max_tokens} is asked for; longer texts take"
            " chunks"
        )
    taken = len(tokenizer(prefix)["input_ids"])
    if 2 * taken > max_tokens:
        raise WeightsError(
            f"the prefix takes {taken} of {max_tokens} tokens and leaves too few for the text; shorten it"
        )

    depth = int(model.config.num_hidden_layers)
    layers = tuple(f"layer_{i}" for i in range(max(1, depth - inner_layers), depth))

    class Encoder(torch.nn.Module):  # type: ignore[misc, unused-ignore]  # torch is untyped here
        """Tokens in, the last layer and the kept ones out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            found = self.model(input_ids, attention_mask=attention_mask, output_hidden_states=True)
            inner = tuple(found.hidden_states[int(layer.split("_")[1])] for layer in layers)
            return found.last_hidden_state, *inner

    progress("exporting to ONNX by torch, which takes longest")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    cut = {"truncation": True, "max_length": max_tokens, "return_tensors": "pt"}
    example = tokenizer(list(sample[:2]), padding=True, **cut)
    batch, tokens = torch.export.Dim("batch", min=1), torch.export.Dim("tokens", min=1)
    try:
        with torch.inference_mode():
            torch.onnx.export(
                Encoder().eval(),
                (example["input_ids"], example["attention_mask"]),
                str(path),
                input_names=["input_ids", "attention_mask"],
                output_names=["last_hidden_state", *layers],
                dynamic_shapes=({0: batch, 1: tokens}, {0: batch, 1: tokens}),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # as above; the first line is always the same, its cause says more
        raise WeightsError(
            f"{source} cannot be exported: {_line(error.__cause__ or error)}; encoders of BERT's kind can"
        ) from error
    graph = onnx.load(str(path))
    del graph.graph.output[1:]  # the encoder asks for the inner layers itself, where they are wanted
    onnx.save(graph, str(path))
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    spec = EncoderSpec(
        name=name,
        dim=int(model.config.hidden_size),
        model=_describe(path),
        tokenizer=_describe(folder / "tokenizer.json"),
        title=str(source),
        max_tokens=max_tokens,
        prefix=prefix,
        layers=layers,
        chunks=chunks,
        ram_mb=round(path.stat().st_size * 2 / 1e6 + 100),
    )
    progress("checking that it gives the same vectors")
    encoder = _encoder(spec, folder)
    for text, row in zip(sample, encoder.encode_views(sample), strict=True):
        given = tokenizer(prefix + text, **cut)
        with torch.inference_mode():
            states = model(
                given["input_ids"], attention_mask=given["attention_mask"], output_hidden_states=True
            ).hidden_states
        means = [states[i][0].mean(0).numpy() for i in (depth, *(int(la.split("_")[1]) for la in layers))]
        for ours, theirs in zip(row[[0, *range(2, len(row))]], means, strict=True):
            difference = float(np.abs(ours - theirs / np.linalg.norm(theirs)).max())
            if not difference < _LARGEST_DIFFERENCE:
                raise WeightsError(f"the export of {source} differs by {difference:.1e} on {text[:40]!r}")
    if layers:
        spec = msgspec.structs.replace(spec, upper=_upper(model, folder, len(layers), example))
    if quantise:
        progress("turning its weights into int8, and comparing")
        spec = _quantise(spec, folder, encoder.encode_views(sample), sample)
    (folder / "encoder.json").write_bytes(msgspec.json.format(msgspec.json.encode(spec), indent=1))
    return spec


def _upper(model: Any, folder: Path, layers: int, example: Any) -> UpperSpec | None:
    """The upper layers as safetensors, for tuning; None where they are not those of a BERT."""
    import torch
    from safetensors.torch import save

    from jitr.models.encoders.upper import read_upper

    depth, form = int(model.config.num_hidden_layers), "encoder.layer."
    kept = tuple(f"{form}{i}." for i in range(depth - layers, depth))
    tensors = {n: t.clone().contiguous() for n, t in model.state_dict().items() if n.startswith(kept)}
    path = folder / "upper.safetensors"
    path.write_bytes(save(tensors))  # `save_file` lets nobody else read it
    upper = UpperSpec(
        file=_describe(path),
        depth=depth,
        heads=int(getattr(model.config, "num_attention_heads", 1)),
        epsilon=float(getattr(model.config, "layer_norm_eps", 1e-12)),
    )
    try:
        ours = read_upper(path, upper, layers, dropout=0.0).eval()
    except WeightsError:
        path.unlink()
        return None
    with torch.inference_mode():
        given = {name: example[name] for name in ("input_ids", "attention_mask")}
        states = model(**given, output_hidden_states=True).hidden_states
        mask = given["attention_mask"].float()
        meant = states[-1] * mask[..., None]
        same = torch.allclose(ours(states[depth - layers], mask), meant, atol=_LARGEST_DIFFERENCE)
    if not same:
        path.unlink()
    return upper if same else None


def _encoder(spec: EncoderSpec, folder: Path) -> OnnxEncoder:
    return OnnxEncoder(
        name=spec.name,
        model=folder / spec.model.name,
        tokenizer=folder / spec.tokenizer.name,
        dim=spec.dim,
        max_tokens=spec.max_tokens,
        prefix=spec.prefix,
        layers=spec.layers,
    )


def _quantise(
    spec: EncoderSpec, folder: Path, exact: NDArray[np.float32], sample: Sequence[str]
) -> EncoderSpec:
    """The same encoder in int8, refused where its vectors point elsewhere."""
    import onnx

    from jitr.models.encoders.onnx.int8_weights import with_int8_weights

    path = folder / spec.model.name
    onnx.save(with_int8_weights(onnx.load(str(path))), str(path))
    spec = msgspec.structs.replace(
        spec, model=_describe(path), ram_mb=round(path.stat().st_size * 2 / 1e6 + 100)
    )
    cosine = float((_encoder(spec, folder).encode_views(sample) * exact).sum(2).mean())
    if cosine < _LEAST_COSINE:
        raise WeightsError(f"in int8 `{spec.name}` has a cosine of {cosine:.3f} to itself; keep it as it is")
    return msgspec.structs.replace(spec, cosine=round(cosine, 4))


def _line(error: BaseException) -> str:
    """The first line of an error of others, which may have a page of them."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _describe(path: Path) -> WeightFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return WeightFile(sha256=digest, size=path.stat().st_size, name=path.name)
