"""The hospital's node: approves studies, admits consents, trains on its cohort, submits updates."""

from federated.hospital.admission import admit, read_grants
from federated.hospital.enrol import approve, join
from federated.hospital.evaluate import publish_figures, publish_results
from federated.hospital.freeze import freeze
from federated.hospital.node import HospitalNode
from federated.hospital.policy import Policy, read_policy
from federated.hospital.report import report
from federated.hospital.train import submit, train

__all__ = [
    "HospitalNode",
    "Policy",
    "admit",
    "approve",
    "freeze",
    "join",
    "publish_figures",
    "publish_results",
    "read_grants",
    "read_policy",
    "report",
    "submit",
    "train",
]
