"""Recorded data as traffic: recorded answers play the teacher."""

from jitr.sandbox.recorded.workload import RecordedWorkload, recorded

__all__ = ["RecordedWorkload", "recorded"]
