"""Tests of every network: `make test` takes some, `make sweep` all."""

import pytest


def each_network(names, everyday):
    """Run a test for each name; for those that are not in `everyday`, in the sweep only."""
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=[] if name in everyday else [pytest.mark.sweep]) for name in names]
    )
