"""The façade: what it takes. What it answers is tested beside the functions that it calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mdlstm_core.checkpoint import Checkpoint
from mdlstm_core.errors import InputError
from mdlstm_core.insight.queries import ContextQuery, GateQuery, Pixel
from mdlstm_core.predictor import Predictor

WRONG = [
    (None, "NoneType"),
    ([[1]], "list"),
    (np.zeros((0, 5, 3), np.uint8), "(0, 5, 3) of uint8"),
    (np.zeros((5, 0, 3), np.uint8), "(5, 0, 3) of uint8"),
    (np.zeros((5, 5), np.uint8), "(5, 5) of uint8"),
    (np.zeros((9, 9, 4), np.uint8), "(9, 9, 4) of uint8"),
    (np.full((9, 9, 3), np.nan, np.float32), "(9, 9, 3) of float32"),
    (np.zeros((9, 9, 3), np.uint16), "(9, 9, 3) of uint16"),
]
ASK: dict[str, Callable[[Predictor, Any], object]] = {
    "predict": lambda model, image: model.predict(image),
    "record": lambda model, image: model.record(image),
    "health": lambda model, image: model.health(image),
    "gate_map": lambda model, image: model.gate_map(image, GateQuery(0, 0, "hidden")),
    "contributions": lambda model, image: model.contributions(image, Pixel(0, 0)),
    "gradient": lambda model, image: model.gradient(image, ContextQuery(Pixel(0, 0), 0)),
    "occlusion": lambda model, image: model.occlusion(image, ContextQuery(Pixel(0, 0), 0)),
}


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize(("image", "given"), WRONG)
def test_what_is_no_image_is_named(
    ask: str, image: Any, given: str, tiny_checkpoint: Checkpoint
) -> None:
    with pytest.raises(InputError) as caught:
        ASK[ask](Predictor(tiny_checkpoint, "cpu"), image)

    expected = "height × width × 3 of uint8, neither side zero"
    assert str(caught.value) == f"image_HW3: expected {expected}, given {given}."


@pytest.mark.parametrize("ask", ASK)
def test_image_is_none_the_worse_for_being_small(ask: str, tiny_checkpoint: Checkpoint) -> None:
    assert ASK[ask](Predictor(tiny_checkpoint, "cpu"), np.zeros((9, 5, 3), np.uint8)) is not None
