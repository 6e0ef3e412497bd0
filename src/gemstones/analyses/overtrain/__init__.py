"""What more tokens than optimal cost, and save."""
