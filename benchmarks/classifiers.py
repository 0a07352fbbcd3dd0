"""Which of other people's classifiers get maps, and of what kind: the table of docs/classifiers.md.

python benchmarks/classifiers.py                        # all libraries and forms
python benchmarks/classifiers.py --only keras_hub       # some of them
python benchmarks/classifiers.py --exports --findings found.jsonl  # and every format; takes hours, resumes
python benchmarks/classifiers.py --write docs/classifiers.md
"""

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tabulate import tabulate

import keras_cam
from classifier_families import FAMILIES
from classifier_forms import FORMS
from keras_cam.graph.head import Head, find_head

CLASSIFIERS: dict[str, dict[str, Callable[[], keras.Model]]] = {**FAMILIES, "by hand": FORMS}

FORMATS = {
    "SavedModel": ("/1", "save_saved_model"),
    "LiteRT": (".tflite", "save_litert"),
    "ONNX": (".onnx", "save_onnx"),
}

REFUSED = "refused"


@dataclass
class Findings:
    """What was found about one classifier.

    Attributes:
        kind: "exact", "gradient" or "refused".
        difference: between the scores of the localizer and of the classifier.
        identity_error: how much `logit - mean(map)` varies between random features, as a part of the largest
            logit; NaN if the map is not exact.
        affinity: "yes", or the error of `refine="affinity"`.
        exports: for each format "yes", or the error.
        error: why it was refused.
    """

    kind: str
    difference: float = np.nan
    identity_error: float = np.nan
    affinity: str = ""
    exports: dict[str, str] = field(default_factory=dict)
    error: str = ""


def examine(build: Callable[[], keras.Model], exports: bool = False) -> Findings:
    model = build()
    try:
        localizer = keras_cam.build_localizer(model, refine="none")
        out = localizer(images_for(localizer))
        assert np.isfinite(out["class_activation_maps"]).all()
    except Exception as error:
        return Findings(REFUSED, error=one_line(error))
    head = find_head(model)
    found = Findings(head.layer.map_kind, difference(model, head))
    if found.kind == "exact":
        found.identity_error = identity_error(head)
    found.affinity = attempt(lambda: refined(model))
    if exports:
        found.exports = {
            name: attempt(lambda row=row: export(localizer, *row)) for name, row in FORMATS.items()
        }
    return found


def images_for(model: keras.Model, count: int = 2) -> Any:
    """Random inputs, by name if there are several."""
    random = np.random.default_rng(0)
    values = {x.name: random.uniform(0, 255, (count, *x.shape[1:])).astype("float32") for x in model.inputs}
    return values if len(values) > 1 else next(iter(values.values()))


def difference(model: keras.Model, head: Head) -> float:
    """The largest difference of probabilities between the classifier and the localizer's head."""
    backbone = keras.Model(head.inputs if len(head.inputs) > 1 else head.inputs[0], head.features)
    values = images_for(backbone)
    ordered = [values[x.name] for x in head.inputs] if isinstance(values, dict) else values
    features = backbone(ordered, training=False)
    logits = head.layer(features[0] if isinstance(features, list) and len(features) == 1 else features)
    own = model(
        [values[x.name] for x in model.inputs] if isinstance(values, dict) else values, training=False
    )
    own = next(iter(own.values())) if isinstance(own, dict) else own
    if head.activation == "linear" or keras.ops.min(own) < 0:
        # Not of logits, which log_softmax shifts.
        logits, own = keras.ops.softmax(logits), keras.ops.softmax(own)
    else:
        logits = keras.activations.get(head.activation)(logits)
    return float(keras.ops.max(keras.ops.abs(logits - own)))


def identity_error(head: Head, count: int = 6) -> float:
    """How constant `logit - mean(map)` is over random features, with the same other inputs of the head."""
    random = np.random.default_rng(0)
    places = getattr(head.layer, "places", (None,))
    features = len(places)
    values = []
    for index, tensor in enumerate(head.features):
        shape = [size or 8 for size in tensor.shape[1:]]
        value = random.normal(size=(count if index < features else 1, *shape)).astype("float32")
        if index < features and places[index] is not None:
            prefix = places[index].prefix  # tokens without a place count for the bias
            value[:, :prefix] = value[:1, :prefix]
        values.append(np.repeat(value, count // len(value), axis=0))
    inputs = values[0] if len(values) == 1 else values
    logits = np.asarray(head.layer(inputs))
    class_ids = np.tile(np.arange(logits.shape[1], dtype="int32"), (count, 1))
    maps = np.asarray(head.layer(inputs, class_ids))
    bias = logits - maps.mean(axis=tuple(range(2, maps.ndim)))
    return float(np.abs(bias - bias.mean(axis=0)).max() / np.abs(logits).max())


def refined(model: keras.Model) -> None:
    localizer = keras_cam.build_localizer(model, refine="affinity")
    maps = np.asarray(localizer(images_for(localizer))["localization_maps"])
    assert np.isfinite(maps).all()
    assert 0 <= maps.min() <= maps.max() <= 1


def export(localizer: keras.Model, suffix: str, function: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"localizer{suffix}"
        getattr(keras_cam.export, function)(localizer, path)
        images = images_for(localizer)
        found = keras_cam.load_localizer(path).localize(images)["class_activation_maps"]
    expected = np.asarray(localizer(images)["class_activation_maps"])
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def attempt(do: Callable[[], None]) -> str:
    try:
        do()
    except Exception as error:
        return one_line(error)
    return "yes"


def one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def sweep(only: str | None, exports: bool, kept: Path | None) -> Iterator[tuple[str, str, Findings]]:
    """Examine each classifier whose findings are not yet in the file `kept`, and add them to it."""
    known = read_findings(kept) if kept and kept.exists() else {}
    for library, classifiers in CLASSIFIERS.items():
        for name, build in classifiers.items():
            if only and only not in f"{library}/{name}":
                continue
            found = known.get((library, name))
            if found is None or (exports and found.kind != REFUSED and not found.exports):
                keras.backend.clear_session()
                gc.collect()
                found = examine(build, exports)
                print(library, name, found, file=sys.stderr, flush=True)
                if kept:
                    with kept.open("a") as lines:
                        lines.write(json.dumps({"library": library, "name": name, **asdict(found)}) + "\n")
            yield library, name, found


def read_findings(kept: Path) -> dict[tuple[str, str], Findings]:
    rows = map(json.loads, kept.read_text().splitlines())
    return {(row.pop("library"), row.pop("name")): Findings(**row) for row in rows}


def table(rows: list[tuple[str, str, Findings]], exports: bool) -> str:
    def mark(text: str) -> str:
        return text if text in ("yes", "") else "no"

    lines = [
        {
            "from": library,
            "classifier": f"`{name}`",
            "map": found.kind,
            "identity error": f"{found.identity_error:.0e}" if found.kind == "exact" else "",
            "affinity": mark(found.affinity),
            **({name: mark(found.exports.get(name, "")) for name in FORMATS} if exports else {}),
        }
        for library, name, found in rows
    ]
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


def summary(rows: list[tuple[str, str, Findings]]) -> str:
    lines = []
    for library in (*CLASSIFIERS, "all"):
        kinds = [found.kind for one, _, found in rows if library in (one, "all")]
        if kinds:
            counts = {kind: kinds.count(kind) for kind in ("exact", "gradient", REFUSED)}
            lines.append({"from": library, "classifiers": len(kinds), **counts})
    return tabulate(lines, headers="keys", tablefmt="github")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", help="only rows whose LIBRARY/NAME contains this text")
    parser.add_argument("--exports", action="store_true", help="export each to every format, too")
    parser.add_argument(
        "--findings", type=Path, metavar="FILE", help="keep what is found, and skip what is in this file"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the tables of this page")
    args = parser.parse_args()
    rows = list(sweep(args.only, args.exports, args.findings))
    text = f"{summary(rows)}\n\n{table(rows, args.exports)}\n"
    if args.write:
        before, _, _ = args.write.read_text().partition("| from")
        text = before + text
        args.write.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
