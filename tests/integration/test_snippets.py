"""The Python in README and docs runs as it stands there, block by block, as one program a page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from stage.served import PROMPT, reviews
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_PYTHON = [page for page in PAGES if "```python" in page.read_text()]


@pytest.fixture
def here(served: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log and with answers to learn from; the environment names servers."""
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    rows = reviews(300)
    asked = [
        {"model": "m", "messages": [{"role": "user", "content": f"{PROMPT} {text}"}]} for text, _ in rows
    ]
    said = [{"choices": [{"message": {"content": answer}}]} for _, answer in rows]
    calls = [
        {"request": request, "response": response} for request, response in zip(asked, said, strict=True)
    ]
    pairs = [{"input": text, "answer": answer} for text, answer in rows]
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "calls.jsonl").write_text("\n".join(map(json.dumps, calls)))
    (folder / "answers.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    monkeypatch.chdir(folder)
    return folder


def run(page: Path) -> None:
    for example in Document.parse(str(page), PythonCodeBlockParser()).examples():
        example.evaluate()


SAYS = {
    "README.md": [r"review-positive-negative 300 \S+ 1.0", ".* of calls are accepted.*", "positive"],
    "guide.md": ["Positive.", "reviews surrogate ask"],
}


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(page)
    said = capsys.readouterr().out.splitlines()
    expected = SAYS[page.name]
    assert len(said) == len(expected) and all(map(re.fullmatch, expected, said)), said


def test_a_block_that_does_not_run_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nrouter = 1\n```\n\n```python\nruoter\n```\n")
    with pytest.raises(NameError):
        run(page)
