"""Bytes of the protocol (docs/protocol.md), and nothing else: no sockets, no pickles."""
