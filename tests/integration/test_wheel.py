"""The built wheel, in an environment of its own, is the small client and router."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).exists() or (ROOT / name).is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("jitr-*.whl"))


@pytest.mark.timeout(300)
def test_the_base_install_runs_without_the_heavy_packages(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    code = """
import importlib.util as u
absent = [m for m in ("torch", "faust", "river", "scipy", "sklearn", "transformers") if u.find_spec(m)]
assert not absent, absent
import jitr.schemas.dialects, jitr.schemas.settings, jitr.models.tasks.matching.matcher
import jitr.models.surrogates.runtime, jitr.models.promise.gate
import jitr.router.router, jitr.router.gateway.server, jitr.router.publisher, jitr.cli.main
"""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([str(python), "-c", code], check=True, cwd=tmp_path, env=env)
    jitr = tmp_path / "env" / "bin" / "jitr"
    shown = subprocess.run([str(jitr), "--version"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert shown.stdout.startswith("jitr ")
