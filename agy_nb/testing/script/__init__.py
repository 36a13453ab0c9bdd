"""Scripts of a model: the parts of an answer, the functions that write them, and their order."""
