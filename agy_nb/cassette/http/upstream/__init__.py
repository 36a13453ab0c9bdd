"""The requests that a recording makes to models, in this process or in one of its own."""
