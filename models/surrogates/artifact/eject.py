"""A surrogate that leaves home: its folder, its encoders, and the lines that answer, without jitr.

The lines are our own runtime, module by module, renamed: they follow the format of the artifact by
construction, and need numpy, msgspec, safetensors, onnxruntime and tokenizers, nothing else.
"""

from __future__ import annotations

import ast
import importlib.util
import shutil
from pathlib import Path

import msgspec

from jitr.models.encoders.weights import Weights
from jitr.models.surrogates.artifact.artifact import read_manifest, read_payload
from jitr.models.surrogates.artifact.certificate import Certificate, read_certificate, write_certificate
from jitr.schemas.errors import ArtifactError, ConfigError

_ROOT = "jitr.models.surrogates.runtime"
_PACKAGE = "runtime"
_ANSWER = '''"""Answers without jitr: `python answer.py "a text"`, or `from answer import surrogate`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from runtime.models_surrogates_runtime import Surrogate, Weights  # noqa: E402

THRESHOLD = {threshold!r}  # {proves}
surrogate = Surrogate.load(HERE / "artifact", {digest!r}, Weights(sorted((HERE / "encoders").glob("*"))))

if __name__ == "__main__":
    for text in sys.argv[1:] or map(str.rstrip, sys.stdin):
        answer = surrogate.answer(text)
        said = answer.text if answer.score >= THRESHOLD else "ask the teacher"
        print(said, round(answer.score, 4), sep="\\t")
'''
_NEEDS = "numpy\nmsgspec\nsafetensors\nonnxruntime\ntokenizers\n"


def eject(
    folder: Path, out: Path, weights: Weights | None = None, certificate: Certificate | None = None
) -> None:
    """Write ``answer.py``, ``runtime/``, ``artifact/``, ``encoders/`` and ``requirements.txt`` into ``out``.

    Parameters
    ----------
    folder : Path
        The artifact; it is verified first.
    out : Path
        Must not exist, or be empty.
    weights : Weights, optional
    certificate : Certificate, optional
        That of a surrogate which was proved on the stream: it is written beside it. Without one the folder's
        own counts; where there is none either, ``answer.py`` leaves everything to the teacher.

    Raises
    ------
    ArtifactError
        The artifact is damaged, or the certificate is of another.
    WeightsError
        Its encoder is not on this machine.
    ConfigError
        ``out`` holds something already.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; give a new folder")
    manifest, digest = read_manifest(folder)
    read_payload(folder, manifest)
    own = certificate is None
    certificate = read_certificate(folder) if certificate is None else certificate
    if certificate is not None and certificate.digest != digest:
        raise ArtifactError(
            f"{folder} has digest {digest}, its certificate is of {certificate.digest}; fetch or certify it"
            " again"
        )
    proof = certificate.proof if certificate is not None else None
    weights = weights or Weights()
    specs = [weights.spec(ref.name) for ref in (manifest.encoder, manifest.partner) if ref is not None]
    found = [[(weights.find(file), file.name) for file in (s.model, s.tokenizer)] for s in specs]
    shutil.copytree(folder, out / "artifact")
    if certificate is not None and not own:
        write_certificate(out / "artifact", certificate)
    for i, (spec, files) in enumerate(zip(specs, found, strict=True)):
        encoder = out / "encoders" / str(i)
        encoder.mkdir(parents=True)
        for path, name in files:
            shutil.copyfile(path, encoder / name)
        (encoder / "encoder.json").write_bytes(msgspec.json.format(msgspec.json.encode(spec), indent=1))
    _copy_runtime(out / _PACKAGE)
    proves = certificate.proves if certificate is not None else "no certificate: the teacher answers all"
    # above 1 no score reaches: without a proof everything is left to the teacher
    text = _ANSWER.format(threshold=proof.threshold if proof else 1.1, proves=proves, digest=digest)
    (out / "answer.py").write_text(text)
    (out / "requirements.txt").write_text(_NEEDS)


def _copy_runtime(out: Path) -> None:
    """The runtime and every module of ours that it imports, as one flat package."""
    out.mkdir()
    (out / "__init__.py").write_text("")
    waiting, done = [_ROOT], set()
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        found = importlib.util.find_spec(name)
        assert found is not None and found.origin is not None, name
        path = Path(found.origin)
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jitr."):
                waiting.append(str(node.module))
        (out / f"{_flat(name)}.py").write_text(_renamed(source))
        for data in path.parent.glob("*.toml"):
            shutil.copyfile(data, out / data.name)


def _renamed(source: str) -> str:
    lines = []
    for line in source.splitlines():
        stripped = line.lstrip()
        if stripped.startswith("from jitr.") and " import" in stripped:
            module = stripped.split()[1]
            line = line.replace(f"from {module} ", f"from {_PACKAGE}.{_flat(module)} ", 1)
        lines.append(line)
    return "\n".join(lines) + "\n"


def _flat(module: str) -> str:
    """``jitr.models.encoders.encoder`` as the name of a module in a flat package."""
    return module.removeprefix("jitr.").replace(".", "_")
