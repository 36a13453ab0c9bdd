"""The model side: the HTTP between harness and model, and the HTTP of host tools."""
