"""The figures of evaluations as a table, for a terminal, a paper or a web page."""

from collections.abc import Sequence
from typing import Any

from keras_cam.evaluation.rates import GT_KNOWN_RATES
from keras_cam.evaluation.results import Evaluation, mcnemar_p_value
from keras_cam.plain_text import plain_text

STYLES = {"markdown": "pipe", "latex": "latex_booktabs", "html": "html"}
"""The styles of `format_table`, and what the package tabulate calls them."""

_COUNTS = (
    "mean_iou", "all_boxes_recall", "all_boxes_precision", "max_box_acc", "max_box_acc_v2", "images",
    "images_per_second",
)  # fmt: skip


def evaluation_table(evaluations: Sequence[Evaluation]) -> tuple[list[str], list[list[str]]]:
    """A row for each figure and a column for each model; for two models also a column of p-values.

    Args:
        evaluations: of one model, or of several on the same images.

    Returns:
        `(header, rows)`: rates in percent with their 95 % intervals (Wilson). Figures whose threshold was
        chosen on these images are marked as oracles. The p-values are those of McNemar's exact test.

    Examples:
        >>> from keras_cam.evaluation.protocols import Zhou2016
        >>> evaluation = Evaluation("my_model", Zhou2016())
        >>> header, rows = evaluation_table([evaluation])
        >>> header, rows[0]
        (['figure', 'my_model'], ['classification top1 error', '-'])
    """
    figures = [evaluation.to_dict() for evaluation in evaluations]
    compared = len(evaluations) == 2
    rows = []
    for rate in evaluations[0].outcomes:
        row = [_label(rate, figures[0]), *(_rate_text(one, rate) for one in figures)]
        if compared:
            p_value = mcnemar_p_value(*(evaluation.outcomes[rate] for evaluation in evaluations))
            row.append(f"{p_value:.2g}")
        rows.append(row)
    for name in _COUNTS:
        rows.append([_label(name, figures[0]), *(_figure_text(one[name]) for one in figures)])
        rows[-1] += [""] * compared
    return ["figure", *(one["model"] for one in figures)] + ["p (McNemar)"] * compared, rows


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], style: str) -> str:
    """A table as text.

    Args:
        header: a title for each column.
        rows: the texts of each row.
        style: a key of `STYLES`. LaTeX needs the package booktabs.

    Examples:
        >>> print(format_table(["figure", "model"], [["top1 error", "18.7%"]], "markdown"))
        | figure     |   model |
        |:-----------|--------:|
        | top1 error |   18.7% |
    """
    from tabulate import tabulate

    alignment = ["left"] + ["right"] * (len(header) - 1)
    titles = list(map(plain_text, header))
    return str(tabulate(rows, titles, STYLES[style], disable_numparse=True, colalign=alignment))


def _label(name: str, figures: dict[str, Any]) -> str:
    of_box = name.startswith("localization") or name in GT_KNOWN_RATES
    oracle = name.startswith("max_box") or (of_box and "oracle" in figures)
    return name.replace("_", " ") + (" (oracle threshold)" if oracle else "")


def _rate_text(figures: dict[str, Any], rate: str) -> str:
    if figures[rate] is None:
        return "-"
    low, high = figures["intervals"][rate]
    return f"{figures[rate]:.1%} [{low:.1%}, {high:.1%}]"


def _figure_text(figure: Any) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, dict):
        return f"{figure['value']:.1%}"
    return str(figure) if isinstance(figure, int) else f"{figure:.3g}"
