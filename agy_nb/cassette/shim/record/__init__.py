"""Record the conversations of a program that is started with `agy-nb harness`."""
