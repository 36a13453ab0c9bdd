"""Calls of tools, decisions on them, and their results."""
