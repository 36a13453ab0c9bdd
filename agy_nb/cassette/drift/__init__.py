"""A recorded client, live once more: has what it talks to drifted from the recording?

The journal holds all that a client did: its configuration, its prompts, the results of its tools,
its decisions and answers. So it can be done again without the client's code, against the real
harness and a live model; what both recordings add up to is compared.

```
live       the real harness, session by session, recorded again
  script     what the client does: frames of the harness in, frames of the client out; no I/O
    answers    which recorded answer fits a request
  setting    the configuration on this machine: folders, keys, addresses
```
"""
