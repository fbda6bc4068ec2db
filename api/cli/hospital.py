"""`consilium hospital`: its commands, in the order in which a study needs them."""

from __future__ import annotations

from api.cli.hospital_node import hospital, live_node
from api.cli.hospital_patients import admit, withdraw
from api.cli.hospital_policy import approve, policy
from api.cli.hospital_records import import_, quality
from api.cli.hospital_round import evaluate, freeze, report, submit, train
from api.cli.options import StudyNumber, Watch
from api.cli.show import group, say, table
from api.cli.watching import Patience
from api.cli.watching import watch as keep_watching
from chain.types import StudyId
from federated import hospital as steps
from federated.errors import CohortError, PolicyRefused
from federated.hospital.personalise import personalise as keep_better
from federated.hospital.run import advance

app = group(
    """Import records, approve studies, admit patients, train, submit.

    Example: consilium --home homes/north hospital run 1 --watch
    """
)
app.add_typer(policy, name="policy")
app.command("import")(import_)
app.command()(quality)
app.command()(approve)


@app.command()
def join(study: StudyNumber) -> None:
    """Enrol in an approved study, posting its bond.

    Example: consilium --home homes/north hospital join 1
    """
    index = steps.join(live_node(), StudyId(study))
    say(f"study {study}: enrolled with index {index}")


for _command in (admit, withdraw, freeze, train, submit, report, evaluate):
    app.command()(_command)


@app.command()
def run(study: StudyNumber, watch: Watch = False) -> None:
    """Do whatever the study needs of this hospital now; with --watch, until its end.

    Example: consilium --home homes/north hospital run 1 --watch
    """
    node, number = live_node(), StudyId(study)
    node.party.chain.client.resume()
    if not watch:
        done = advance(node, number, say)
        say(f"study {study}: " + ("over" if done else "nothing more is due now"))
        return
    patience = Patience()

    def step() -> bool:
        try:
            return advance(node, number, say)
        except (CohortError, PolicyRefused) as exc:
            # a cohort too small now may be large enough in the next round
            patience.warn(str(exc))
            return False

    keep_watching(node.party, step, patience)
    say(f"study {study}: over")


@app.command()
def personalise(study: StudyNumber) -> None:
    """After a study, retrain its model on the own patients, and keep the better one.

    Compared are the global model, the same trained further here as a whole or in its last layer
    alone, and one of the own patients alone, by the loss of the own validation patients. Another
    than the global one is kept where it is better by more than one standard error.

    Example: consilium --home homes/north hospital personalise 1
    """
    with hospital() as (home, node):
        done = keep_better(node, StudyId(study), home.path / "personal")
    say(f"study {study}: the {done.kept} model is kept, for {done.why}")
    say(
        f"it began from round {done.round_number}, state {done.state.hex()}; "
        f"{len(done.trained)} patients trained, {len(done.validated)} judged"
    )
    rows = [
        (item.kind, f"{item.loss:.4f}", f"{item.lead:+.4f}", f"{item.error:.4f}")
        for item in done.judged
    ]
    columns = ("model", "loss", "lower than the global one by", "standard error")
    table("on validation patients, a patient", columns, rows)
