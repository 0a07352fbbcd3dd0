"""Do README and docs state the figures that their commands print?

    python benchmarks/stated_figures.py --data DIR [--only localization.md ...]

Each row of STATED is a sentence or a line of a page with its figures left open, and the command that prints
them. The command is run, the figures are filled in, and the page must have that text; every text that it does
not have is printed, and the exit status is 1. DIR has the data set ilsvrc_val_dev as a folder. All rows take
an hour on two cores. Figures of time and memory are on docs/benchmarks.md, which report.py writes whole.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Stated:
    """What a page says.

    Attributes:
        page: its path in the repository.
        options: those of `keras-cam evaluate --data DIR/ilsvrc_val_dev`.
        text: what the page says, in one line. `{name}` is the figure of that name, in percent;
            `{name_interval}` also has its 95 % interval.
    """

    page: str
    options: str
    text: str

    def of(self, figures: dict[str, Any]) -> str:
        """The text with its figures."""
        return self.text.format_map(in_percent(figures))


_RECIPE_ROW = (
    "{gt_known_accuracy_interval} | {localization_top1_error} | {localization_top5_error} "
    "| {max_box_acc_v2} |"
)
_README_ROW = (
    "{classification_top1_error} / {classification_top5_error} "
    "| {localization_top1_error} / {localization_top5_error} | {gt_known_accuracy_interval} |"
)
_LOCALIZATION = "docs/localization.md"

STATED = (
    Stated("README.md", "--refine none", f"| the paper's rule | {_README_ROW}"),
    Stated("README.md", "--refine affinity", f"| `--refine affinity` | {_README_ROW}"),
    Stated("README.md", "--refine none", "| centre box | | | {center_box_gt_known} |"),
    Stated(_LOCALIZATION, "--refine none", f"| `none` | {_RECIPE_ROW}"),
    Stated(_LOCALIZATION, "--refine affinity", f"| `B32` | {_RECIPE_ROW}"),
    Stated(_LOCALIZATION, "--refine B", f"| `B` | {_RECIPE_ROW}"),
    Stated(_LOCALIZATION, "--refine C", f"| `C` | {_RECIPE_ROW}"),
    Stated(_LOCALIZATION, "--refine look_again", f"| `look_again` * | {_RECIPE_ROW}"),
    Stated(_LOCALIZATION, "--refine none", "| centre box | {center_box_gt_known} | | | |"),
    Stated(
        _LOCALIZATION,
        "--refine affinity",
        "finds a recall of {all_boxes_recall} and a precision of {all_boxes_precision};",
    ),
    Stated(
        _LOCALIZATION,
        "--refine look_again",
        "Of the images with one true box {single_object_gt_known} are right",
    ),
    Stated(_LOCALIZATION, "--refine look_again", "of those with several {several_objects_gt_known} ("),
    Stated(_LOCALIZATION, "--model efficientnet_lite1 --refine none", "from {gt_known_accuracy} to"),
    Stated(
        _LOCALIZATION, "--model efficientnet_lite1", "to {gt_known_accuracy_interval}, EfficientNet-Lite2"
    ),
    Stated(
        _LOCALIZATION,
        "--model efficientnet_lite2 --refine none",
        "EfficientNet-Lite2 from {gt_known_accuracy} to",
    ),
    Stated(_LOCALIZATION, "--model efficientnet_lite2", "to {gt_known_accuracy_interval}."),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder of the data sets")
    pages = sorted({Path(row.page).name for row in STATED})
    parser.add_argument("--only", nargs="+", choices=pages, default=pages, metavar="PAGE")
    arguments = parser.parse_args()
    rows = [row for row in STATED if Path(row.page).name in arguments.only]
    missing = 0
    for options in dict.fromkeys(row.options for row in rows):
        figures = evaluated(arguments.data / "ilsvrc_val_dev", options)
        for row in rows:
            if row.options == options:
                said = row.of(figures) in " ".join(
                    (REPOSITORY / row.page).read_text(encoding="utf-8").split()
                )
                missing += not said
                print(f"{'as stated' if said else 'NOT STATED'}  {row.page}: {row.of(figures)}", flush=True)
    sys.exit(missing > 0)


def evaluated(data: Path, options: str) -> dict[str, Any]:
    """The figures that `keras-cam evaluate` prints."""
    command = [sys.executable, "-m", "keras_cam.cli.main", "evaluate", "--data", str(data), "--json"]
    done = subprocess.run([*command, *options.split()], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def in_percent(figures: dict[str, Any]) -> dict[str, str]:
    """Each rate as the pages write it, as `NAME`, and as `NAME_interval` with its 95 % interval."""
    rates = {
        name: value["value"] if isinstance(value, dict) and "value" in value else value
        for name, value in figures.items()
    }
    texts = {name: f"{value:.1%}".replace("%", " %") for name, value in rates.items() if type(value) is float}
    for name, (low, high) in figures["intervals"].items():
        if name in texts:
            interval = f"[{low:.1%}, {high:.1%}]".replace("%", " %")
            texts[f"{name}_interval"] = f"{texts[name]} {interval}"
    return texts


if __name__ == "__main__":
    main()
