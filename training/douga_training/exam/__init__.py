"""`python -m douga_training.exam`: the fixed examination, on frames that no training draws anything from."""
