"""Builds the columns of all tables, one event at a time."""
