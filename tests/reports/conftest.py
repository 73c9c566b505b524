"""Synthetic results and the site built from them, once per run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # reports/ is run from the checkout and never installed

import synthetic_results

from reports.site.build import build
from reports.site.material import Material, gather


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits of one machine with every side-car; tests do not change them."""
    folder = synthetic_results.write(tmp_path_factory.mktemp("reports") / "results")
    synthetic_results.conformance(folder)
    synthetic_results.loaders(folder)
    synthetic_results.selftest(folder)
    return folder


@pytest.fixture(scope="session")
def material(results: Path) -> Material:
    return gather(results, synthetic_results.losses())


@pytest.fixture(scope="session")
def site(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site built from `results`."""
    return build(material, tmp_path_factory.mktemp("reports") / "site").parent


@pytest.fixture(scope="session")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site without any results."""
    folder = tmp_path_factory.mktemp("reports")
    return build(gather(folder / "results", synthetic_results.losses()), folder / "site").parent


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are not drawn, which takes most of the time, for tests of words only."""
    monkeypatch.setattr("reports.site.view.kept.of", lambda work: lambda: "<svg></svg>")
