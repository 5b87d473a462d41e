"""The ablations: each variant trains, and what stands already is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import ablations
from mdlstm_core.network import build_network
from mdlstm_core.presets import preset


def test_variants_are_measured_once(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rows.json"
    out.write_text(
        json.dumps(
            {
                "float32": {
                    "pixel_accuracy": 0.5,
                    "class_accuracy": 0.25,
                    "weights": 7,
                    "seconds": 1.0,
                }
            }
        )
    )
    arguments = [str(tiny_dataset), "--epochs", "1", "--json", str(out), "--view", "32", "48"]
    for name in ("convolutions in place of the 2D-LSTM", "float32"):
        arguments += ["--variant", name]
    monkeypatch.setattr(sys, "argv", ["ablations", *arguments])

    ablations.main()

    rows = json.loads(out.read_text())
    assert rows["float32"]["weights"] == 7
    measured = rows["convolutions in place of the 2D-LSTM"]
    assert 0 <= measured["pixel_accuracy"] <= 1
    whole = sum(weight.numel() for weight in build_network(preset("scene", 8)).parameters())
    assert measured["weights"] == pytest.approx(whole, rel=0.02)
