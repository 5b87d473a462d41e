"""What is kept of two looks, against the looks themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.inference.survey_worker import Look
from app.session.difference import Difference

_LABELS = st.dictionaries(
    st.sampled_from("abcde"), st.sampled_from([0, 1, 255]), min_size=5, max_size=5
)
_NAMES = st.permutations("abcde").map(lambda names: tuple(names[:3]))


@given(st.data(), st.tuples(st.integers(1, 9), st.integers(1, 9)), _LABELS)
def test_the_same_pixels_differ_whatever_labels_the_classes_have(
    data: st.DataObject, size: tuple[int, int], labels: dict[str, int]
) -> None:
    looks, given_labels = [], []
    for key in ("before", "after"):
        label_map = data.draw(arrays(np.uint8, size, elements=st.integers(0, 2)))
        names = data.draw(_NAMES)
        looks.append(Look.of(key, Path("a.png"), names, label_map))
        given_labels.append(tuple(labels[name] for name in names))
    whole = [look.label_map(given) for look, given in zip(looks, given_labels, strict=True)]
    kept = Difference.of(*looks).maps(given_labels)
    differs = whole[0] != whole[1]
    np.testing.assert_array_equal(kept[0] != kept[1], differs)
    for found, expected in zip(kept, whole, strict=True):
        np.testing.assert_array_equal(found[differs], expected[differs])
