"""The site's policy: its rules, its file, what it says of a study, and where it is held."""

from federated.hospital.policy.file import read_policy
from federated.hospital.policy.finding import Asked, Finding, Outcome
from federated.hospital.policy.judge import judge
from federated.hospital.policy.policy import Policy
from federated.hospital.policy.words import defaults_toml

__all__ = ["Asked", "Finding", "Outcome", "Policy", "defaults_toml", "judge", "read_policy"]
