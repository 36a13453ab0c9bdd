"""A recorded client, live once more: has what it talks to drifted from the recording?

A recording holds all that a client did: its configuration, its prompts, the results of its tools,
its decisions and answers. So it can be done again without the client's code, against the real
harness and a live model; what both recordings add up to is compared.

```
runner           the real harness, session by session, recorded again
client_replayer  what the client does: frames of the harness in, frames of the client out; no I/O
answer_pool      which recorded answer fits a request
local_config     the configuration on this machine: folders, keys, addresses
trust            what a cassette that is not trusted may not start
```
"""
