"""Compare the frames of a client with the recorded ones, and describe the difference."""
