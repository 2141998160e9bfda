"""What real tokenizers count, in the peers' environment."""
