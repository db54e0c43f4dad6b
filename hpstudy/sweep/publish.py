"""What the runs of a study are published as: a table, and the record beside it."""

from pathlib import Path

from hpstudy.config.grid import Extent
from hpstudy.config.study import DENSE
from hpstudy.storage.tables import publish
from hpstudy.sweep.plan import Plan
from hpstudy.training.device import environment


def publish_study(plan: Plan, folder: str | Path, command: str, workers: int | None) -> Path:
    """Write a study's table and record to `folder`; the path of the table.

    A run that has failed is missing from the table, and the record says why. Variants of the whole
    study that the plan leaves out keep the rows that they have.
    """
    plan = whole_plan(plan)
    table, counts = plan.table(), plan.counts()
    missing = counts["missing"] + counts["failed"]
    study = plan.study.model_dump(mode="json")
    # With the fingerprint, the ids of runs on image folders can be told from the record alone.
    study["data"] |= {
        "train": plan.size.train,
        "test": plan.size.test,
        "fingerprint": plan.fingerprint,
    }
    extents = [growth.extent for growth in plan.progress().growths.values()]
    for name in Extent._fields:
        values = [plan.study.grid.values(name, plan.study.prior, each) for each in extents]
        study["grid"][name] = sorted(set().union(*values))
    record = {
        "study": study,
        "certificates": plan.certificates,
        # What the channels were chosen by: with it a lost store can be made again.
        "ranking": plan.store.ranking(plan.prior) if plan.certificates else None,
        "record": {
            "command": command,
            "runs": len(table),
            "missing": {name: int(count) for name, count in missing.items() if count},
            "failed": plan.failures(),
            "stopped": int(table["stopped"].sum()),
            "train_seconds": round(float(table["seconds"].sum()), 1),
            "images": int((table["epochs"] * plan.size.train).sum()),
            "device": ", ".join(sorted(set(table["device"]))),
            "executor": plan.study.executor,
            "workers": workers,
            "arithmetic": plan.arithmetic,
            **environment(),
            # A store may have come from another machine: what trained stands in its rows.
            "torch": ", ".join(sorted(set(table["torch"]))),
        },
    }
    return publish(table, record, folder)


def whole_plan(plan: Plan) -> Plan:
    """Plan of what is published: its variants, and all others of the whole study that have runs."""
    if plan.study == plan.whole:
        return plan
    recorded = set(Plan(plan.whole, plan.store, plan.data_root).table()["variant"])
    names = [name for name in plan.whole.variants if name in recorded]
    # One that the params file does not list is published with them, last.
    names = tuple(dict.fromkeys([DENSE, *names, *plan.study.variants]))
    study = plan.whole.model_copy(update={"variants": names})
    return Plan(study, plan.store, plan.data_root)
