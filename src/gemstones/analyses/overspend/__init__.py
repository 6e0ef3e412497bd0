"""What each run spent beyond the frontier for its loss."""
