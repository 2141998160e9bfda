"""The table of rights is what the code does, and what docs/servers.md and the command say."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from jitr.agents.worker import AGENTS as WORKERS_AGENTS
from jitr.cli.verbs.doctor import doctor
from jitr.schemas.rights import AGENTS, PARTS, kafka_rights, making_rights, redis_rights
from jitr.schemas.settings import Settings
from jitr.schemas.topics import Topics

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "servers.md").read_text()


@pytest.mark.parametrize("agent", AGENTS)
def test_the_topics_of_an_agent_are_those_that_its_code_names(agent: str) -> None:
    [file] = (ROOT / "agents").rglob(f"{agent.replace('-', '_')}.py")
    code = file.read_text()
    named = {getattr(Topics(), name).name for name in re.findall(r"topics\.(\w+)", code)}
    rights = [right for right in kafka_rights(Settings()) if right.part == agent]
    assert named == {right.name for right in rights if right.kind == "topic"}
    assert [right.name for right in rights if right.kind == "group"] == [f"jitr-{agent}"]


def test_every_agent_and_every_topic_has_its_rights() -> None:
    assert set(AGENTS) == set(WORKERS_AGENTS)
    rights = kafka_rights(Settings())
    names = {topic.name for topic in Topics().all()}
    assert names == {right.name for right in making_rights(Settings())}
    assert names == {right.name for right in rights if right.operation == "Write"}
    assert {right.part for right in rights} == set(PARTS)


def test_prefixes_stand_before_every_name() -> None:
    settings = Settings.load(environ={"JITR_KAFKA__PREFIX": "acme.", "JITR_REDIS__PREFIX": "acme."})
    assert all(right.name.startswith("acme.") for right in kafka_rights(settings) + making_rights(settings))
    for right in redis_rights("acme."):
        patterns = [rule for rule in right.rules.split() if "~" in rule or rule.startswith("&")]
        assert patterns and all(re.search(r"[~&]acme\.jitr:", pattern) for pattern in patterns)


def test_the_page_shows_the_table() -> None:
    assert table() in PAGE, f"put this into docs/servers.md:\n{table()}"
    for right in redis_rights():
        assert f"ACL SETUSER {right.part} on >PASSWORD {right.rules}\n" in PAGE, right


def test_the_command_prints_every_right() -> None:
    said = CliRunner().invoke(doctor, ["--acls"], standalone_mode=False).output
    for right in kafka_rights(Settings()) + making_rights(Settings()):
        line = f"User:{right.part} --operation {right.operation} --{right.kind} {right.name}\n"
        assert line in said
    assert all(right.rules in said for right in redis_rights())


def table() -> str:
    """The table as the page has it."""
    lines = ["| who | reads | writes | group |", "|---|---|---|---|"]
    for part in PARTS:
        rights = [right for right in kafka_rights(Settings()) if right.part == part]
        cells = [
            ", ".join(f"`{r.name}`" for r in rights if (r.kind, r.operation) == wanted)
            for wanted in (("topic", "Read"), ("topic", "Write"), ("group", "Read"))
        ]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
