"""Typed access to the contracts: wrappers, signing, sending, indexing, deployment."""

import sys

_limit = sys.getrecursionlimit()
import py_ecc  # noqa: E402, F401

# web3 brings it, and it raises the limit to 100,000: JSON nested that deep by a hostile member
# would then overflow the stack of C and end the process, where it is a RecursionError otherwise.
sys.setrecursionlimit(_limit)
