"""Typed access to the contracts: wrappers, signing, sending, indexing, deployment."""
