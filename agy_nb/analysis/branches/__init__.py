"""Forks and rewinds in the tables."""
