"""The browser of recordings: list, replay, comparison."""
