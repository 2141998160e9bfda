"""Servers that fail on purpose, and the faults that befall them on a schedule."""
