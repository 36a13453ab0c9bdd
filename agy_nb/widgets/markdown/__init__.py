"""Markdown as safe HTML, also while it streams."""
