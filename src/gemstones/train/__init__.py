"""From a suite file and text to trained runs: corpus, model, recipe, loop."""
