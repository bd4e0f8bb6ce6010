"""`pqdm` in threads, of one process on each worker: the same signature as pqdm.threads.pqdm."""

from ._run import make

pqdm = make(__name__, threads=True)
