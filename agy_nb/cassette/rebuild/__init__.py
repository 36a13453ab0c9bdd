"""Rebuild the conversation of a recording in the real harness, for `agy.fork`.

```
rebuild          runs the recorded turns on the harness, and compares the result
recorded_turns   chooses the session and its turns, and refuses those that cannot be rebuilt
```

The model's answers, the results of host tools and the answers of hooks come from the recording.
Nothing else runs: the configuration is that of a rerun without trust, so rules deny all tools of
the harness, and the tools are switched off as well.
"""
