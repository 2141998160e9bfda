"""Scan a log: which tasks keep coming back, what they cost, and how much of them could be replaced.

Needs no server, and sends nothing anywhere. With a log of your own (JSON lines: an OpenAI request beside its
response, or jitr's form), or with generated traffic:

    python examples/scan_log.py calls.jsonl
    jitr sandbox traffic > traffic.jsonl && python examples/scan_log.py traffic.jsonl
"""

import sys

from jitr import scan

report = scan(sys.argv[1], seconds=30)
print(f"{report.calls} calls, ${report.cost_usd:.2f}; {report.unmatched_share:.0%} are in no task")
for task in report.tasks[:10]:
    could = task.potential
    why = could.reason or f"{could.coverage:.0%} replaceable at {report.target:.0%} agreement"
    print(f"{task.name}: {task.calls} calls, ${task.cost_usd:.2f}, answers: {task.kind}; {why}")
