"""How the user's own code runs inside the SDK: tools, hooks, policies, triggers."""
