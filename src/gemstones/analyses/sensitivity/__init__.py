"""What the same runs prescribe under every choice of an analyst's."""
