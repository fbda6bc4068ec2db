"""`python -m federated.strategies`: the table of strategies, modes and rewards, as in the docs."""

import sys

from federated.strategies.table import render_table

if __name__ == "__main__":
    sys.stdout.write(render_table())
