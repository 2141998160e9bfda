"""A simulated LLM behind an OpenAI-compatible server. It is a simulation, and says so in every answer."""

from jitr.sandbox.llm.server import SimulatedLLM
from jitr.sandbox.llm.teacher import Teacher, TeacherChange

__all__ = ["SimulatedLLM", "Teacher", "TeacherChange"]
