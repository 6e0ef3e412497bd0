"""IsoFLOP profiles (Approach 2): what the runs of equal FLOPs say about the best size."""
