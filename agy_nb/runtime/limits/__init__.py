"""Limits of a turn and a session: quota, budgets, silence, pauses."""
