"""Plants bugs in a copy of the sources, and looks whether the simulator finds each of them.

apply ROOT COPY: copies what is needed to build the simulator and makes all edits, each behind a
switch. run BINARY [--seeds N] [--jobs N] [name ...]: one line a bug. An edit is a file of this
folder: a sentence, `file: PATH`, `--- right` and the lines as they are, `--- wrong` and the lines
that stand there instead, in which PLANTED is true where the bug is to be.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
SWITCH = """/// Which of the planted bugs is switched on: its number, or 0.

import Glibc

package enum Planted {
    package static let number: Int = {
        guard let name = getenv("MUSTER_PLANT") else { return 0 }
        return [%s].firstIndex(of: String(cString: name)).map { $0 + 1 } ?? 0
    }()
}
"""


def edits():
    for path in sorted(HERE.glob("*.edit")):
        head, rest = path.read_text().split("--- right\n")
        right, wrong = rest.split("--- wrong\n")
        sentence, file = head.strip().split("\nfile: ")
        yield path.stem, sentence, file, right, wrong


def sync(source, goal):
    """Only what differs is written, so that the next build has little to do."""
    wanted = set()
    for path in source.rglob("*"):
        place = goal / path.relative_to(source)
        wanted.add(place)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            continue
        yield place, path.read_bytes()
    for place in sorted(goal.rglob("*"), reverse=True):
        if place not in wanted and place.name != "Planted.swift":
            place.rmdir() if place.is_dir() else place.unlink()


def write(place, content):
    if not place.exists() or place.read_bytes() != content:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def apply(root, copy):
    changed = {}
    names = []
    for name, _, file, right, wrong in edits():
        names.append(name)
        text = changed.get(file) or (root / file).read_text()
        if text.count(right) != 1:
            sys.exit(f"plant: {name}: its lines occur {text.count(right)} times in {file}")
        # A text of one switch: `0` is nobody's number.
        switch = f"(Planted.number == {len(names)})"
        changed[file] = text.replace(right, wrong.replace("PLANTED", switch))
    copy.mkdir(parents=True, exist_ok=True)
    for place, content in sync(root / "Sources", copy / "Sources"):
        own = str(place.relative_to(copy))
        write(place, changed[own].encode() if own in changed else content)
    switch = SWITCH % ", ".join(f'"{name}"' for name in names)
    write(copy / "Sources/MusterModel/Planted.swift", switch.encode())
    for file in ("Package.swift", "Package.resolved"):
        write(copy / file, (root / file).read_bytes())
    if not (copy / "Tests").exists():
        (copy / "Tests").symlink_to(root / "Tests")
    # Packages that were fetched once need not be fetched again.
    for part in ("checkouts", "repositories", "workspace-state.json"):
        there, here = root / ".build" / part, copy / ".build" / part
        if there.exists() and not here.exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            copy_all = shutil.copytree if there.is_dir() else shutil.copy
            copy_all(there, here)


def simulate(binary, name, seeds):
    words = [binary, "--seeds", str(seeds), "--kept", "/dev/null"]
    environment = dict(os.environ)
    environment.pop("MUSTER_PLANT", None)
    if name:
        environment["MUSTER_PLANT"] = name
        words.append("--first")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=3600)
    found = re.search(r"seed (\d+) FAILED(?:, trace \w+, \d+ events)?: (.*)", done.stdout)
    total = re.search(r"seeds, (\d+) events", done.stdout)
    events = f"{int(total[1]):,}" if total else "-"
    return (found[1], events, found[2]) if found else (None, events, "")


def run(binary, seeds, jobs, only):
    plants = [(name, sentence) for name, sentence, *_ in edits() if not only or name in only]
    names = [None] + [name for name, _ in plants]
    with ThreadPoolExecutor(jobs) as pool:
        results = dict(zip(names, pool.map(lambda name: simulate(binary, name, seeds), names)))
    print("| planted bug | what goes wrong | seed | events | what was said |")
    print("|---|---|---|---|---|")
    missed = 0
    for name, sentence in plants:
        seed, events, said = results[name]
        missed += seed is None
        said = re.sub(r"\|", "/", said)[:110]
        print(f"| `{name}` | {sentence} | {seed or 'not found'} | {events} | {said} |")
    seed, events, said = results[None]
    print(f"\n{len(plants) - missed} of {len(plants)} found within {seeds} seeds each.", end=" ")
    verdict = f"seed {seed}: {said}" if seed else "nothing"
    print(f"With none switched on: {events} events, {verdict}.")
    return 1 if missed or seed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["apply"] and len(sys.argv) == 4:
        sys.exit(apply(*(pathlib.Path(word).resolve() for word in sys.argv[2:4])))
    parser = argparse.ArgumentParser(prog="deploy/plant")
    parser.add_argument("binary")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("names", nargs="*")
    words = parser.parse_intermixed_args(sys.argv[2:])
    sys.exit(run(words.binary, words.seeds, words.jobs, set(words.names)))
