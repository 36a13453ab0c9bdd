"""Finds recordings on disk and reads them into columns."""
