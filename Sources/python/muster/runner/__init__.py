"""The runner: a process on a worker that calls functions (docs/runner-protocol.md). It travels as
a zip (_codec/bundle.py). Bytes of two pipes come in and go out; the walk: main, requests, piece,
lane, replies."""
