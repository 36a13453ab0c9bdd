"""Reading cassettes for people: lists, text, digests, checks."""
