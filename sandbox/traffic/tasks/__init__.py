"""One file per task of the generated traffic."""
