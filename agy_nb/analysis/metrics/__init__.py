"""Usage, cost and summaries, computed from the tables."""
