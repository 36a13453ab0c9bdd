"""The interfaces between the runtime and an agent's backend, independent of the SDK."""
