"""`python -m bench [--quick] [--json]`: that the cost of a simulation is linear."""

from bench import scale
from bench.report import main

if __name__ == "__main__":
    raise SystemExit(main("speed", __doc__, scale.run))
