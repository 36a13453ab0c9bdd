"""The recordings browser: list, replay and compare recordings."""
