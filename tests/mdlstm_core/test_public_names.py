"""What `from mdlstm_core import …` offers."""

from __future__ import annotations

import pytest

import mdlstm_core
from mdlstm_core.predictor import Predictor


def test_every_public_name_is_there() -> None:
    for name in mdlstm_core.__all__:
        assert getattr(mdlstm_core, name) is not None
    assert mdlstm_core.Predictor is Predictor


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Segmenter'"):
        _ = mdlstm_core.Segmenter
