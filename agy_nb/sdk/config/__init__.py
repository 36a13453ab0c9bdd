"""From a user's settings to the SDK's configuration, checked before a harness starts."""
