"""Decide on tool calls: the gate between the SDK and the user, and grants in advance."""
