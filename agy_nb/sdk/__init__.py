"""The layer over google-antigravity, through which all agents run.

`interfaces` is what other packages see of a session. It imports nothing of the SDK. The packages
`cassette` and `testing` also import the SDK, on first use, for its types and configurations.
"""
