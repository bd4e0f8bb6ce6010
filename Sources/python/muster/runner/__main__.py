"""`python3 -m muster.runner`, started by a worker. Next: main.py."""

from .main import main

main()
