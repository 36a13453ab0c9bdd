"""Whether what a client sends is what was recorded, and words for the difference."""
