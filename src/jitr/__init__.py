"""jitr replaces an LLM, just in time, on the tasks that keep coming back."""

__version__ = "0.1.0"
