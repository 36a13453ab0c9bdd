"""Tables of what still runs: responses, and the configuration of live agents."""
