"""One turn: its prompt, its run and the response that a user holds."""
