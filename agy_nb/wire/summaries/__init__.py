"""A whole session at a glance: its digest, its differences, its text."""
