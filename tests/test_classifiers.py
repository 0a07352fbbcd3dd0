"""Other people's classifiers: heads written in fifty ways, and the families of three libraries."""

import runpy
from pathlib import Path

import pytest

import keras_cam
from classifier_families import FAMILIES
from classifier_forms import EXACT, FORMS

PROGRAM = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "classifiers.py"))

REPRESENTATIVES = (
    "softmax_in_dense",
    "layer_norm",
    "cosine_classifier",
    "attention_pooling",
    "flatten_and_dense",
    "two_stages",
    "mean_without_class_token",
    "hidden_layer",
    "max_pooling",
    "class_token",
)


def check(build, exact=None):
    found = PROGRAM["examine"](build)
    assert found.kind != "refused", found.error
    assert found.difference < 1e-4
    if exact is not None:
        assert found.kind == ("exact" if exact else "gradient")
    if found.kind == "exact":
        assert found.identity_error < 1e-4


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_representatives(name):
    check(FORMS[name], FORMS[name] in EXACT)


def test_a_wrong_map_would_be_noticed(monkeypatch):
    layer = keras_cam.layers.ClassActivationHead
    call = layer.call

    def wrong(self, features, class_ids=None, **options):
        out = call(self, features, class_ids, **options)
        return out if class_ids is None else 1.1 * out

    monkeypatch.setattr(layer, "call", wrong)
    assert PROGRAM["examine"](FORMS["gap_dense"]).identity_error > 1e-3


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in FORMS if name not in REPRESENTATIVES])
def test_forms(name):
    check(FORMS[name])


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("library", "name"), [(library, name) for library in FAMILIES for name in FAMILIES[library]]
)
def test_families(library, name):
    pytest.importorskip(library)
    check(FAMILIES[library][name])
