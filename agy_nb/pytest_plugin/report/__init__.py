"""What a run reports: failures of replays, and cassettes that no test uses."""
