"""Who may import whom, and what the request path must never load."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
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
        "router.supervisor",
        "router.servers",
        "router.scoring.fetch",
        "router.scoring.frames",
        "router.scoring.process",
    ),
    "router": (
        "schemas",
        "models.tasks.matching",
        "models.redaction",
        "models.surrogates.runtime",
        "models.surrogates.together",
        "models.promise.gate",
    ),
    "offline": ("schemas", "models", "agents.task_call"),
    "sandbox": ("schemas", "models", "agents", "router"),
    "cli": ALL,
}
# the layers within models: what each may import of the others
LAYERS: dict[str, tuple[str, ...]] = {
    "answers": (),
    "encoders": (),
    "economics": (),
    "redaction": (),
    "datasets": ("answers",),
    "promise": ("answers", "datasets"),
    "drift": ("promise",),
    "lifecycle": ("economics",),
    "surrogates": ("answers", "encoders", "datasets", "promise"),
    "tasks.matching": ("answers",),
    "tasks.mining": ("answers", "tasks.matching"),
    "tasks.records": ("answers", "tasks.matching", "tasks.mining"),
    "training": ("answers", "encoders", "datasets", "promise", "surrogates", "tasks.sample"),
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


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_the_models_imports_only_what_lies_below_it(layer: str) -> None:
    allowed = tuple(f"models.{name}" for name in (layer, *LAYERS[layer]))
    wrong = [
        f"{file.relative_to(ROOT)} imports jitr.{name}"
        for file in sorted((ROOT / "models" / layer.replace(".", "/")).rglob("*.py"))
        for name in sorted(imported(file))
        if name.startswith("models.") and not any(name == ok or name.startswith(f"{ok}.") for ok in allowed)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_folder_of_the_models_is_a_layer() -> None:
    folders = {folder.name for folder in (ROOT / "models").iterdir() if (folder / "__init__.py").exists()}
    assert folders == {name.partition(".")[0] for name in LAYERS}


@pytest.mark.parametrize("top", ALL)
def test_no_two_neighbours_import_each_other(top: str) -> None:
    """The files and inner folders of each folder have an order in which each uses only earlier ones."""
    files = {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in (ROOT / top).rglob("*.py")}
    uses: dict[str, dict[str, set[str]]] = {}
    for name, file in files.items():
        for whole in imported(file):
            used = whole if whole in files else whole.rpartition(".")[0]
            if used not in files or used == name:
                continue
            here, there = name.split("."), used.split(".")
            depth = next((n for n, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), None)
            if depth is not None:
                uses.setdefault(".".join(here[:depth]), {}).setdefault(here[depth], set()).add(there[depth])
    for folder, neighbours in uses.items():
        try:
            TopologicalSorter(neighbours).prepare()
        except CycleError as circle:
            pytest.fail(f"{folder}: {' -> '.join(circle.args[1])}")


@pytest.mark.parametrize("folder", [*ALL, "tests", "benchmarks"])
def test_no_folder_holds_more_than_twenty_files(folder: str) -> None:
    """A folder of more has inner folders, so that the way to a file leads over names."""
    many = {
        str(place.relative_to(ROOT)): len(files)
        for place in (ROOT / folder, *(p for p in (ROOT / folder).rglob("*") if p.is_dir()))
        if len(files := list(place.glob("*.py"))) > 20
        and not any(list(inner.glob("*.py")) for inner in place.iterdir() if inner.is_dir())
    }
    assert not many


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
