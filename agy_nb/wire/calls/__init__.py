"""Calls of tools: who calls what, who decides, and what comes back."""
