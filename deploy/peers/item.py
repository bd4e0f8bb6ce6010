"""One item of work, as every peer runs it: 20 ms, two lines in a log, a value."""
import os
import time

SECONDS = 0.02


def note(folder, word, i):
    """One write of one short line to a file opened for appending: lines never mix."""
    file = os.open(f"{folder}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{word} {i}\n".encode())
    os.close(file)


def work(folder, i):
    note(folder, "began", i)
    time.sleep(SECONDS)
    note(folder, "ended", i)
    return i * i


# The same for peers that run commands: FOLDER and I are put in.
SHELL = "echo began {i} >> {folder}/log; sleep 0.02; echo ended {i} >> {folder}/log; echo $(({i} * {i}))"
