"""Words → calls: one file per command, no arithmetic."""
