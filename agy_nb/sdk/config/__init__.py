"""Build and check the SDK's configuration before a harness starts."""
