"""`sorigil check NAME`: what a run would do, what is there already, and why. Computes no audio, writes nothing."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from flows.pending import pending
from flows.progress import PlainReporter
from flows.run import Options, Run
from flows.steps import make_plan


def plan_summary(config: Any, name: str, limit: int | None = None) -> dict[str, Any]:
    """The plan as JSON values: items by reason, units, bytes, and the steps that would do something."""
    run = Run(config=config, pipeline=config.pipeline(name), reporter=PlainReporter(), options=Options(limit=limit))
    make_plan(run)
    assert run.plan is not None
    return {
        "schema": 1,
        "status": "completed",
        "errors": [],
        "pipeline": name,
        "dataset": run.dataset,
        "version": run.plan.base.name if run.plan.base else None,
        "items": len(run.plan.items),
        "bytes": int(pc.sum(run.plan.items.column("size")).as_py() or 0),
        "known": run.plan.reasons,
        "unusable_rows": len(run.plan.problems),
        "vanished": len(run.plan.vanished),
        "units": len(run.plan.units),
        "new_items": run.plan.new_items,
        "would_do": pending(run),
    }


def describe(found: dict[str, Any]) -> str:
    """The plan in words."""
    lines = [
        f"{found['pipeline']}: {found['items']:,} items, {found['bytes'] / 2**20:,.1f} MiB; "
        f"dataset {found['dataset']} is at {found['version'] or 'no version yet'}"
    ]
    lines += [f"  {count:>9,} {reason}" for reason, count in found["known"].items()]
    if found["unusable_rows"]:
        lines.append(f"  {found['unusable_rows']:>9,} rows that cannot be used (missing files, doubled ids, bad lines)")
    if found["vanished"]:
        lines.append(f"  {found['vanished']:>9,} no longer in the source")
    if found["would_do"]:
        lines += ["a run would:", *(f"  - {each}" for each in found["would_do"])]
    else:
        lines.append("a run would compute nothing: everything is there")
    return "\n".join(lines)
