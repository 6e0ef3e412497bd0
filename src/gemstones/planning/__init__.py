"""`Fit` + budget → `Plan`: the optimum, its interval, and everything nearly as good."""
