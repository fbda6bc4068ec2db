"""The auditor: replays a study from chain and store alone, trusting no server."""

from federated.auditor.replay import replay
from federated.auditor.verdict import Check, Level, Outcome, Verdict

__all__ = ["Check", "Level", "Outcome", "Verdict", "replay"]
