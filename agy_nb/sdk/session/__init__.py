"""A live conversation with the real harness."""
