"""Seeded, production-like LLM traffic whose right answers are known."""
