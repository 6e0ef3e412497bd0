"""Every figure and claim of the paper, made again from the published runs: `gemstones paper`."""
