"""`Shape` → counts: parameters, FLOPs, memory and device hours, each with its convention in its name."""
