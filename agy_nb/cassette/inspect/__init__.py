"""Show and check cassettes: summaries, text, digests, verification."""
