"""Secrets in HTTP: bodies, streamed events, exchanges with a model."""
