"""`python -m federated.hospital.policy`: the table of rules, as in docs/policy.md."""

import sys

from federated.hospital.policy.words import render_table

if __name__ == "__main__":
    sys.stdout.write(render_table())
