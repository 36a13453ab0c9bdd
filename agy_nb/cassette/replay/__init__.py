"""Replaying at the wire: which session an agent plays, and what it is sent."""
