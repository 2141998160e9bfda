"""Labelled and LLM-answered sets, what is asked of them, and the peers beside us."""
