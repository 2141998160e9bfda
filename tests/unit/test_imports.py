"""Who may import whom, and what the request path must never load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALL = ("schemas", "models", "agents", "router", "offline", "sandbox", "cli")
MAY_IMPORT = {
    "schemas": (),
    "models": ("schemas",),
    "agents": (
        "schemas",
        "models",
        "router.table",
        "router.scoring.fetch",
        "router.scoring.frames",
        "router.servers.kafka",
        "router.scoring.process",
        "router.servers.redis",
        "router.servers.rights",
        "router.supervisor",
    ),
    "router": (
        "schemas",
        "models.tasks",
        "models.redaction",
        "models.surrogates.runtime",
        "models.surrogates.together",
        "models.promise.gate",
    ),
    "offline": ("schemas", "models", "agents.task_call"),
    "sandbox": ("schemas", "models", "agents", "router"),
    "cli": ALL,
}
HEAVY = ("torch", "transformers", "sentence_transformers", "faust", "river", "scipy", "sklearn", "pyarrow")


def imported(file: Path) -> set[str]:
    """Names of ours that a file imports, without the leading `jitr.`."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.removeprefix("jitr.") for name in names if name.startswith("jitr.")}


@pytest.mark.parametrize("folder", ALL)
def test_a_folder_imports_only_what_the_table_allows(folder: str) -> None:
    allowed = (folder, *MAY_IMPORT[folder], "__version__")
    wrong = [
        f"{file.relative_to(ROOT)} imports jitr.{name}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for name in sorted(imported(file))
        if not any(name == ok or name.startswith(f"{ok}.") for ok in allowed)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "module", ["jitr.router.gateway.server", "jitr.router.router", "jitr.models.surrogates.runtime"]
)
def test_the_request_path_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_nothing_of_ours_uses_pickle_or_joblib() -> None:
    for folder in ALL:
        for file in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(file.read_text())
            names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
            names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
            assert not names & {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}, file
