"""Other people's gateways, each started as its own documentation says, in front of the same upstream.

LiteLLM's proxy and TensorZero's embedded gateway come from PyPI into ``.venv-peers``, Portkey's gateway from
npm into ``.venv-peers/portkey`` (`make bench` installs all three). A peer that does not start is left out,
and the report says why.
"""

from __future__ import annotations

import re
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from jitr.sandbox.processes import Child, Processes
from jitr.schemas.errors import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
MODEL = "gpt-4.1-simulated"

_TENSORZERO = """
import sys, time, openai, tensorzero
client = openai.OpenAI(api_key="none")
tensorzero.patch_openai_client(client, config_file=sys.argv[1], async_setup=False)
print("listens on", client.base_url, flush=True)
time.sleep(1e6)
"""
_TENSORZERO_CONFIG = """
[gateway]
observability.enabled = false
[models.simulated]
routing = ["upstream"]
[models.simulated.providers.upstream]
type = "openai"
model_name = "{model}"
api_base = "{upstream}"
api_key_location = "none"
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A gateway that listens: where, its process, and how a request must name the model."""

    url: str
    child: Child
    model: str = MODEL
    headers: tuple[tuple[str, str], ...] = ()


def litellm(upstream: str, port: int, processes: Processes, folder: Path) -> Peer:
    """LiteLLM's proxy with one model and nothing else switched on."""
    program = ROOT / ".venv-peers" / "bin" / "litellm"
    _must_exist(program)
    parameters = {"model": f"openai/{MODEL}", "api_base": upstream, "api_key": "none"}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "litellm_settings": {"num_retries": 0},
    }
    file = folder / "litellm.yaml"
    file.write_bytes(msgspec.json.encode(config))  # JSON is YAML
    environ = {
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    command = [str(program), "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    child = processes.start("litellm", command, environ)
    processes.wait_until(child, lambda: _listens(port), 120.0)
    return Peer(f"http://127.0.0.1:{port}/v1", child)


def tensorzero(upstream: str, port: int, processes: Processes, folder: Path) -> Peer:
    """TensorZero's gateway (Rust), as its Python package embeds it; without observability."""
    program = ROOT / ".venv-peers" / "bin" / "python"
    _must_exist(program)
    config = folder / "tensorzero.toml"
    config.write_text(_TENSORZERO_CONFIG.format(model=MODEL, upstream=upstream))
    child = processes.start("tensorzero", [str(program), "-c", _TENSORZERO, str(config)])
    processes.wait_until(child, lambda: "listens on" in child.said())
    found = re.search(r"listens on (\S+)/", child.said())
    assert found is not None
    return Peer(found[1], child, "tensorzero::model_name::simulated")


def portkey(upstream: str, port: int, processes: Processes, folder: Path) -> Peer:
    """Portkey's gateway (Node.js)."""
    start = ROOT / ".venv-peers" / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build"
    _must_exist(start / "start-server.js")
    node = shutil.which("node")
    if node is None:
        raise UnavailableError("there is no node on PATH")
    command = [node, str(start / "start-server.js"), f"--port={port}", "--headless"]
    child = processes.start("portkey", command)
    processes.wait_until(child, lambda: _listens(port))
    headers = (("x-portkey-provider", "openai"), ("x-portkey-custom-host", upstream))
    return Peer(f"http://127.0.0.1:{port}/v1", child, headers=headers)


PEERS: dict[str, Callable[[str, int, Processes, Path], Peer]] = {
    "litellm": litellm,
    "tensorzero": tensorzero,
    "portkey": portkey,
}


def _must_exist(program: Path) -> None:
    if not program.exists():
        raise UnavailableError(f"{program} is not there; `make bench` installs it")


def _listens(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
