"""Keep the state of a conversation after each turn, so that an agent can go back or branch off."""
