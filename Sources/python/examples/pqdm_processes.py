"""pqdm with processes: the same call, imported from muster."""

from muster.pqdm.processes import pqdm


def area(width, height=1):
    return width * height


if __name__ == "__main__":
    print(pqdm(range(1000), area, n_jobs=2)[-1])
    sides = [{"width": number, "height": 2} for number in range(1000)]
    print(pqdm(sides, area, n_jobs=2, argument_type="kwargs", desc="areas")[-1])
