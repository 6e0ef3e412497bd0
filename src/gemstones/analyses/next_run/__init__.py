"""Which runs to buy next: a suite as an experiment."""
