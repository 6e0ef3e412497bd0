"""Laws of tasks: accuracy from loss, or directly from size and tokens."""
