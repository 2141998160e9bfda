"""Redaction: what identifies or unlocks leaves a text before anyone keeps it."""
