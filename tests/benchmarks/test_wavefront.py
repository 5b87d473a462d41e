"""The benchmark runs, checks before it times, and writes what others read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import wavefront
from benchmarks.peers import autograd_diagonal, equal_lstm, layer_flops
from benchmarks.tables import write_tables
from mdlstm_core.kernels import GPU_KERNELS, KERNELS, MDLSTMWeights, reference

KEYS = {
    "grid", "hidden", "batch", "pass", "backend", "dtype", "device", "busy", "seconds",
    "floor_seconds",
}  # fmt: skip


def test_quick_run_writes_a_row_for_each_backend(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"

    wavefront.main(["--quick", "--json", str(file)])

    rows = json.loads(file.read_text())
    assert all(set(row) == KEYS for row in rows)
    assert all(row["seconds"] > 0 and row["floor_seconds"] > 0 for row in rows)
    for which in ("forward", "forward+backward"):
        quiet = {r["backend"] for r in rows if r["pass"] == which and not r["busy"]}
        assert {"reference", "torch", "compiled", "autograd-diagonal", "nn.LSTM"} <= quiet
        assert quiet == {r["backend"] for r in rows if r["pass"] == which and r["busy"]}


def test_all_kernels_of_a_gpu_are_compared() -> None:
    pytest.importorskip("triton", reason="triton comes for Linux only")

    compared = wavefront.Bench(torch.device("cuda"), torch.float32, 1.0, 2**30).backends()

    assert set(compared) == {"reference", "torch", *GPU_KERNELS, "autograd-diagonal"}


def test_a_wrong_kernel_is_not_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    right = KERNELS["torch"].run

    def wrong(image: Tensor, weights: MDLSTMWeights, scale: float) -> Tensor:
        return right(image, weights, scale) * 1.01

    monkeypatch.setattr(KERNELS["torch"], "run", wrong)

    with pytest.raises(SystemExit, match="torch differs from the reference"):
        wavefront.main(["--quick", "--json", str(tmp_path / "rows.json")])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU")
def test_gpu_that_is_not_there_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        wavefront.main(["--device", "cuda", "--json", str(tmp_path / "rows.json")])

    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("python -m benchmarks.wavefront: The device cuda cannot be used: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (5, 3), (3, 6)])
def test_autograd_peer_equals_reference(size: tuple[int, int]) -> None:
    torch.manual_seed(2)
    units = 3
    shapes = ((2, *size, 2), (4, 2, 15), (4, units, 15), (4, units, 15), (4, 15))
    image, *weights = (torch.randn(shape, dtype=torch.float64) for shape in shapes)

    found = autograd_diagonal(image, MDLSTMWeights(*weights), 0.5)

    torch.testing.assert_close(found, reference.run(image, MDLSTMWeights(*weights), 0.5))


def test_equal_lstm_does_the_same_work() -> None:
    lstm, sequences = equal_lstm(64, 48, 1, 50, torch.device("cpu"), torch.float32)

    steps, number, inputs = sequences.shape
    work = steps * number * 2 * 4 * lstm.hidden_size * (inputs + lstm.hidden_size)
    assert work == pytest.approx(layer_flops(64, 48, 1, 50), rel=0.02)
    assert steps == 111


def test_tables_replace_only_their_own_part(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("top\n<!-- cpu -->\nold\n<!-- end cpu -->\nend\n", encoding="utf-8")
    row = {
        "grid": [64, 48], "hidden": 20, "batch": 1, "pass": "forward", "backend": "torch",
        "dtype": "float32", "device": "cpu", "busy": False, "seconds": 0.006,
        "floor_seconds": 0.002,
    }  # fmt: skip

    rows = [row, {**row, "busy": True, "seconds": 0.012}]
    write_tables(document, rows, [(64, 48, 20, 1), (512, 512, 50, 16)], "--json FILE")

    text = document.read_text("utf-8")
    assert text.startswith("top\n<!-- cpu -->\n")
    assert text.endswith("<!-- end cpu -->\nend\n")
    assert "old" not in text
    assert "| 64×48 | 20 | 1 | 2 | 6 (3.0) |" in text
    assert "| 64×48 | 20 | 1 | forward | torch | 12 | 2.0 |" in text
    assert "| 64×48 | 20 | 1 | not measured | not measured |" in text
    # A size that nobody ran stands in each of the tables.
    assert text.count("\n| 512×512 | 50 | 16 | not measured | not measured |\n") == 2
    for which in ("forward", "forward+backward"):
        assert f"\n| 512×512 | 50 | 16 | {which} | torch | not measured | not measured |\n" in text
