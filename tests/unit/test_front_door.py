"""What `import jitr` gives, and what it costs."""

import subprocess
import sys

import pytest

import jitr

HEAVY = {"torch", "scipy", "sklearn", "faust", "pyarrow", "river", "transformers", "onnxruntime"}


def loaded_by(line: str) -> set[str]:
    code = f"import sys; before = set(sys.modules)\n{line}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_jitr_loads_nothing_but_itself() -> None:
    loaded = loaded_by("import jitr")
    assert {name for name in loaded if name.startswith("jitr")} == {"jitr"}
    assert not {name for name in loaded if "." not in name} - sys.stdlib_module_names - {"jitr"}


@pytest.mark.parametrize("name", ["Router", "SyncRouter", "Publisher", "Settings"])
def test_a_client_loads_nothing_that_trains(name: str) -> None:
    assert not HEAVY & {module.partition(".")[0] for module in loaded_by(f"from jitr import {name}")}


def test_a_surrogate_answers_without_what_trained_it() -> None:
    loaded = {module.partition(".")[0] for module in loaded_by("from jitr import Surrogate")}
    assert loaded & HEAVY == {"onnxruntime"}


@pytest.mark.parametrize("name", jitr.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(jitr, name) is not None
    assert name in dir(jitr)


def test_each_public_name_is_told_to_type_checkers_and_loaded_from_the_same_place() -> None:
    for name, home in jitr._HOMES.items():
        assert getattr(jitr, name).__module__ == home
    assert set(jitr._HOMES) == set(jitr.__all__) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Ruoter'"):
        jitr.Ruoter  # noqa: B018
    with pytest.raises(ImportError):
        from jitr import Ruoter  # noqa: F401


def test_what_is_not_installed_is_named_with_the_extra_that_brings_it() -> None:
    code = "import sys; sys.modules['sklearn'] = None; from jitr import scan"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: jitr.scan needs the package sklearn")
    assert last.endswith("pip install 'jitr[agents]'")
