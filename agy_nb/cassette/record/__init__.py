"""Recording at the wire: a copy of every frame between the SDK and its harness."""
