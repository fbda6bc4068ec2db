"""A model read in double precision, so that sums of parts equal what they explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from federated.networks import deterministic, logits, to_torch
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.tasks import task_of

_BATCH = 512


@dataclass(frozen=True, slots=True)
class Reader:
    """One set of parameters of a study's model; of several outputs the one at `place` is told."""

    spec: StudySpec
    tensors: dict[str, Tensor]
    place: int | None = None

    @classmethod
    def of(cls, parameters: Parameters, spec: StudySpec) -> Reader:
        """The same numbers as float64."""
        wide = {name: array.astype(np.float64) for name, array in parameters.items()}
        return cls(spec, to_torch(wide))

    @property
    def linear(self) -> bool:
        """Whether what is told is a weighted sum of the inputs."""
        return self.spec.model.name == "logistic" and self.place is None

    def outputs(self, inputs: Array) -> Array:
        """All that the model gives.  # (n, width) → (n,) or (n, K)"""
        found = self._read(self.tensors, inputs)
        return found if len(found) else found.reshape(0, *self._several())

    def log_odds(self, inputs: Array) -> Array:
        """Of the positive label, or of the class at `place` against all others.

        Of a task without classes it is the output itself.  # (n, width) → (n,)
        """
        with torch.no_grad():
            return self._told(torch.from_numpy(self.outputs(inputs))).numpy()

    def chances(self, inputs: Array) -> Array:
        """The model's own probabilities of the positive label.  # (n, width) → (n,)"""
        result: Array = 1 / (1 + np.exp(-self.log_odds(inputs)))
        return result

    def last_layer(self, inputs: Array) -> Array:
        """What the output layer reads; of a linear model the inputs.  # (n, width) → (n, features)

        With the identity in the output's place the network gives what its output would have read.
        """
        features = self.tensors["out.weight"].shape[1]
        eye = torch.eye(features, dtype=torch.float64)
        probe = self.tensors | {"out.weight": eye, "out.bias": torch.zeros(features).double()}
        return self._read(probe, inputs).reshape(len(inputs), features)

    def gradients(self, inputs: Array) -> Array:
        """Of the log odds by each input.  # (n, width) → (n, width)"""
        parts = []
        with deterministic():
            for batch in _batches(inputs):
                batch.requires_grad_()
                total = self._told(logits(self.tensors, batch, self.spec)).sum()
                parts.append(torch.autograd.grad(total, batch)[0].numpy())
        return np.concatenate(parts)

    def _told(self, outputs: Tensor) -> Tensor:
        if self.place is None:
            return outputs
        others = [place for place in range(outputs.shape[1]) if place != self.place]
        return outputs[:, self.place] - torch.logsumexp(outputs[:, others], 1)

    def _several(self) -> tuple[int, ...]:
        count = task_of(self.spec.task).outputs(self.spec)
        return (count,) if count > 1 else ()

    def _read(self, tensors: dict[str, Tensor], inputs: Array) -> Array:
        with deterministic(), torch.no_grad():
            parts = [logits(tensors, batch, self.spec).numpy() for batch in _batches(inputs)]
        return np.concatenate(parts) if parts else np.zeros(0)


def _batches(inputs: Array) -> list[Tensor]:
    wide = torch.from_numpy(np.asarray(inputs, dtype=np.float64))
    return list(torch.split(wide, _BATCH)) if len(inputs) else []
