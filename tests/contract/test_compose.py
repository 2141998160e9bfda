"""deploy/compose.yaml says the versions and the loopback ports that the rest of the project relies on."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_compose_file_runs_pinned_servers_on_loopback_with_health_checks() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: the compose file was not read")
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    assert services["kafka"]["image"] == "apache/kafka:4.3.1"
    assert "<kafka.version>4.3.1<" in (ROOT / "deploy" / "kafka" / "pom.xml").read_text()
    for service in services.values():
        assert service["profiles"] == ["core"]
        assert service["healthcheck"]["test"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
