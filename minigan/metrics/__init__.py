"""How good samples are, as numbers."""
