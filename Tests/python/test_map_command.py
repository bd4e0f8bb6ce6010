"""`muster map module:function`: Python functions from a shell, by the real program, which is copied
alone to another directory. The client runs no Python."""

import json
import os
import shutil
import subprocess

import pytest

from servers import binary

GEO = """
import helper

def reverse_geocode(point):
    if point["lat"] > 90:
        raise ValueError(f"no latitude: {point['lat']}")
    print("looking at", point["lat"])
    return {"place": helper.NAME, "lat": point["lat"]}

class Grid:
    @staticmethod
    def double(x):
        return 2 * x
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "bin").mkdir()
    shutil.copy(binary(), tmp_path / "bin" / "muster")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "geo.py").write_text(GEO)
    (tmp_path / "src" / "helper.py").write_text('NAME = "ici"\n')
    return tmp_path


def run(here, environment, *words, points=range(100), folder="src"):
    given = "".join(json.dumps(point) + "\n" for point in points)
    return subprocess.run(
        [str(here / "bin" / "muster"), "map", *words], cwd=here / folder, env=environment,
        input=given, capture_output=True, text=True, timeout=60)


def kinds(servers, here):
    alone = {**os.environ, "MUSTER_CONFIG": str(here / "none")}
    return {"cluster": servers.environment, "embedded": alone}


POINTS = [{"lat": number} for number in range(80)]


@pytest.mark.parametrize("kind", ["cluster", "embedded"])
@pytest.mark.parametrize("target", ["geo:reverse_geocode", "geo.py:reverse_geocode"])
@pytest.mark.parametrize("pool", ["process", "thread"])
def test_a_function_of_a_file_maps_lines_of_json(servers, here, kind, target, pool):
    done = run(here, kinds(servers, here)[kind], "-q", "--pool", pool, "--bf", "geo.py",
               "--bf", "helper.py", target, points=POINTS)
    assert done.returncode == 0, done.stderr
    values = [json.loads(line) for line in done.stdout.splitlines()]
    assert values == [{"place": "ici", "lat": number} for number in range(80)]
    assert "looking at 79" in done.stderr


@pytest.mark.parametrize("kind", ["cluster", "embedded"])
def test_a_marked_path_is_imported_from_the_mark_on(servers, here, kind):
    package = here / "src" / "pkg"
    package.mkdir()
    (package / "grid.py").write_text(GEO.replace("import helper", ""))
    for target in ("pkg.grid:Grid.double", "pkg/grid.py:Grid.double"):
        done = run(here, kinds(servers, here)[kind], "-q", "--bf", "../src/./pkg/grid.py", target,
                   folder="bin", points=range(2000))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "".join(f"{2 * number}\n" for number in range(2000))


@pytest.mark.parametrize("kind", ["cluster", "embedded"])
def test_a_file_that_is_no_program_goes_along_by_itself(servers, here, kind):
    (here / "src" / "grid.py").write_text(GEO.replace("import helper", ""))
    done = run(here, kinds(servers, here)[kind], "-q", "../src/grid.py:Grid.double", folder="bin",
               points=[1, 2])
    assert (done.returncode, done.stdout) == (0, "2\n4\n"), done.stderr


def test_an_item_that_fails_says_why_and_the_others_go_on(servers, here):
    done = run(here, servers.environment, "--bf", "geo.py", "--bf", "helper.py",
               "geo:reverse_geocode", points=[{"lat": 1}, {"lat": 91}, {"lat": 2}])
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 2
    assert "no latitude: 91" in done.stderr


@pytest.mark.parametrize("words, said", [
    (["geo:f"], "--bf geo.py"),
    (["--bf", "geo.py", "geo:reverse_geocode"], "helper"),
    (["--bf", "geo.py", "--bf", "helper.py", "geo:nothing"], "nothing"),
])
def test_what_is_missing_is_named(servers, here, words, said):
    done = run(here, servers.environment, *words, points=[{"lat": 1}])
    assert done.returncode != 0 and said in done.stderr
