"""What the parts of the sandbox print is what the other verbs read."""

from pathlib import Path

from click.testing import CliRunner

from jitr.cli.verbs.sandbox import traffic
from jitr.offline.lines import call_lines
from jitr.schemas.calls import Call


def test_every_line_of_generated_traffic_is_a_call(tmp_path: Path) -> None:
    log = tmp_path / "traffic.jsonl"
    log.write_text(CliRunner().invoke(traffic, ["--calls", "40"]).output)
    calls = list(call_lines(log))
    assert len(calls) == 40 and all(isinstance(call, Call) for call in calls)
    assert [call.time - calls[0].time for call in calls] == list(range(40))
