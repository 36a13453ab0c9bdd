"""Render Markdown to safe HTML, also while it streams."""
