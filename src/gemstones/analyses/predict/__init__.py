"""What the loss will be: predictions of a law at points, or beside the losses of runs."""
