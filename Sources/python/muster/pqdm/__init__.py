"""pqdm on the cluster: `from muster.pqdm.processes import pqdm`, or `.threads`. See _run.py."""
