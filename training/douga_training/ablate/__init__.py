"""Ablations: the same short training with one thing changed at a time, in one table, as Kugler's 4.2."""
