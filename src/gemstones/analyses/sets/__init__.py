"""Whether what is prescribed depends on the set that losses are of; all choices are `sensitivity`'s."""
