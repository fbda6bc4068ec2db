"""`python -m bench.flower.theirs STUDY RESULT` in Flower's environment: the study by Flower.

Its ServerApp and ClientApp in simulation, one core a client; FedAvg weighted by records. A first
round, which no clock sees, starts the actors and loads torch.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from bench.flower.shared import Ran, names_in, read_records, read_spec, write_result
from federated.models import initial_parameters
from federated.schema import Parameters
from federated.training import fit, shuffles


def client(folder: Path) -> ClientApp:
    """Trains the hospital at its partition's place."""
    app = ClientApp()
    spec, names = read_spec(folder), names_in(folder)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        place = int(context.node_config["partition-id"])
        inputs, labels = read_records(folder, place)
        given = message.content["arrays"]
        start = {name: given[name].numpy() for name in given}
        number = int(message.content["config"]["server-round"])
        began = time.perf_counter()
        order = shuffles(spec.seed, names[place], number)
        trained = fit(start, inputs, labels, spec, spec.training, order)
        told = {"num-examples": len(labels), "train_s": time.perf_counter() - began}
        content = {"arrays": _record(trained), "metrics": MetricRecord(told)}
        return Message(content=RecordDict(content), reply_to=message)

    return app


def server(folder: Path, result: Path) -> ServerApp:
    """FedAvg over all hospitals for the study's rounds; writes what it came to."""
    app = ServerApp()
    spec, hospitals = read_spec(folder), len(names_in(folder))

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        seconds: list[float] = []
        start = _record(initial_parameters(spec))
        _strategy(hospitals, []).start(grid, start, num_rounds=1)
        began = time.perf_counter()
        ended = _strategy(hospitals, seconds).start(grid, start, num_rounds=spec.rounds)
        ran = Ran(time.perf_counter() - began, sum(seconds))
        write_result(result, ran, {name: ended.arrays[name].numpy() for name in ended.arrays})

    return app


def _strategy(hospitals: int, seconds: list[float]) -> FedAvg:
    def gather(replies: list[RecordDict], _key: str) -> MetricRecord:
        seconds.extend(float(reply["metrics"]["train_s"]) for reply in replies)
        return MetricRecord({})

    return FedAvg(
        fraction_evaluate=0.0,
        min_train_nodes=hospitals,
        min_available_nodes=hospitals,
        train_metrics_aggr_fn=gather,
    )


def _record(parameters: Parameters) -> ArrayRecord:
    from flwr.app import Array

    return ArrayRecord({name: Array(np.asarray(array)) for name, array in parameters.items()})


if __name__ == "__main__":
    study, result = Path(sys.argv[1]), Path(sys.argv[2])
    run_simulation(
        server(study, result),
        client(study),
        num_supernodes=len(names_in(study)),
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
