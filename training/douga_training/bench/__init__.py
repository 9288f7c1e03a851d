"""`python -m douga_training.bench`: how good and how fast the weights are, as tables, against the goals."""
