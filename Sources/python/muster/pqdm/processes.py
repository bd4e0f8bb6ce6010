"""`pqdm` in processes of the workers: the same signature as pqdm.processes.pqdm."""

from ._run import make

pqdm = make(__name__, threads=False)
