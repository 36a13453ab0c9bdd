"""Plots are drawn without a screen."""

import pytest


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib import pyplot as plt

    plt.switch_backend("Agg")
    yield
    plt.close("all")
