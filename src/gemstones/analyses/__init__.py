"""Questions that people put to runs, one folder each: what is computed, and how it is said."""
