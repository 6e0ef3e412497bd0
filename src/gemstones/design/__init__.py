"""Constraints → shapes to train."""
