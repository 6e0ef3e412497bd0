"""Run table → `Fit`: law forms, the solver, Approach 1 and Approach 3, resampling, published laws."""
