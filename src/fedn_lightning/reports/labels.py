"""The label question for a reader: agreement, confusion, and what it costs in mAP."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fedn_lightning.analysis.comparison import signed
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.results.writing import markdown_table
from fedn_lightning.utils.files import plain

if TYPE_CHECKING:
    from fedn_lightning.study.labels import Answer, Cell, Crossed
    from fedn_lightning.study.statistics import Estimate

NAMES = {"expert": "expert", "self_report": "self-report"}


def labels_markdown(answer: Answer) -> str:
    """A section of Markdown."""
    crossed = answer.crossed
    parts = ["## Expert against self-reported labels", agreement_text(crossed), markdown_table(confusion_rows(crossed))]
    parts += ["mAP@0.5 of networks trained and chosen on one kind of label, by the labels they are scored by:"]
    parts += [markdown_table(cell_rows(answer.cells)), markdown_table(cost_rows(answer))]
    parts += ["Same people and same seeds on both sides of a difference; brackets hold 95 %."]
    return "\n\n".join(parts)


def agreement_text(crossed: Crossed) -> str:
    """How far both sources agree, in a sentence or two."""
    same, total = crossed.agreement
    both = int(crossed.confusion[:-1, :-1].sum())
    return (
        f"Of {total} expressions, {both} have an analysed class by both sources, and {same} the same one "
        f"({same} of {both}, kappa {show(crossed.kappa, 2)}). Rows are the expert's classes, columns the self-reported."
    )


def confusion_rows(crossed: Crossed) -> list[tuple[str, ...]]:
    """Rows of the expert's class and counts by self-reported class; the first is the head."""
    names = (*crossed.classes, "others")
    body = [(name, *map(str, row)) for name, row in zip(names, crossed.confusion.tolist(), strict=True)]
    return [("expert \\ self-report", *names), *body]


def cell_rows(cells: dict[Cell, Estimate]) -> list[tuple[str, ...]]:
    """Rows of what a network was trained on, and its mAP by each source's labels; the first is the head."""
    head = ("trained on", *(f"scored by {name}" for name in NAMES.values()))
    return [head, *((name, *(interval(cells[source, by]) for by in NAMES)) for source, name in NAMES.items())]


def interval(estimate: Estimate) -> str:
    """A score and its interval."""
    return f"{show(estimate.value, 3)} [{show(estimate.low, 3)}, {show(estimate.high, 3)}]"


def cost_rows(answer: Answer) -> list[tuple[str, ...]]:
    """Rows of a change and what it does to mAP; the first is the head."""
    rows: list[tuple[str, ...]] = [("change", "mAP@0.5")]
    for (before, after), found in answer.costs.items():
        if before[0] == after[0]:
            text = f"trained on {NAMES[before[0]]}: scored by {NAMES[after[1]]} instead of {NAMES[before[1]]}"
        else:
            text = f"scored by {NAMES[before[1]]}: trained on {NAMES[after[0]]} instead of {NAMES[before[0]]}"
        rows.append((text, signed(found)))
    return rows


def labels_json(answer: Answer) -> dict[str, Any]:
    """As plain values."""
    same, total = answer.crossed.agreement
    result: dict[str, Any] = plain(
        {
            "classes": answer.crossed.classes,
            "confusion": answer.crossed.confusion.tolist(),
            "agreement": {"same": same, "of": total, "kappa": answer.crossed.kappa},
            "map@0.5": {f"{trained} by {scored}": asdict(cell) for (trained, scored), cell in answer.cells.items()},
            "costs": {
                f"{after[0]} by {after[1]} - {before[0]} by {before[1]}": asdict(found)
                for (before, after), found in answer.costs.items()
            },
        }
    )
    return result
