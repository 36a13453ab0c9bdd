"""Chats: the panel of a live agent, and a recorded conversation."""
