"""Replay at the wire: choose the session of an agent, and send it the recorded frames."""
