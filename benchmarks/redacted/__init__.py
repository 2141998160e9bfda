"""What redaction is measured on: made-up secrets of many kinds, and what only looks like them."""
