"""The harness's process, its socket and its folders."""
