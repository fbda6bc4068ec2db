"""`python -m bench [--quick] [--json]`: every claim of speed, measured."""

from bench import aggregate, scale
from bench.report import main

if __name__ == "__main__":
    raise SystemExit(main("speed", __doc__, aggregate.run, scale.run))
