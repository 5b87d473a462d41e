"""What keeps strokes from teaching much.

That strokes of two classes contradict one another is told by what the network sees before it
learns, and not by how well it learns them: that takes time, and what is hard to learn need not be
wrong. On one image nothing looks the same twice, since the network sees where it is; so strokes
are compared with those on other images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.errors import InputError
from mdlstm_core.learning.lessons import Lesson
from mdlstm_core.learning.live import feature_scale

_NEAR = 0.03
"""Squared distance of features that look the same; that of any two cells is 1 on average.

A photograph and the same one brighter, shifted by four pixels or stored anew are less than 0.007
apart, strokes of two classes on different photographs, streets or membranes more than 0.17.
"""

_SHARE = 0.5
"""Of a stroke, that has to look like another class's: where classes meet a little always does."""

_MOST_CELLS = 2000
"""Of all images together, that are compared: it takes a tenth of a second."""


def notice_of(lessons: Sequence[Lesson], names: list[str], knows_K: Tensor) -> str:
    """Say what keeps the strokes from teaching much; empty if nothing does.

    Args:
        lessons: what there is to learn.
        names: of the labels.
        knows_K: which of them the model knows.

    Raises:
        InputError: they can teach nothing.
    """
    painted, knows = np.zeros(len(names), dtype=bool), knows_K.cpu().numpy()
    for lesson in lessons:
        labels = lesson.split.learned
        painted[np.unique(labels[labels != IGNORE_INDEX])] = True
    (first, *others) = np.flatnonzero(painted)
    knows_other = bool(np.delete(knows, first).any())
    if not others and not knows_other:
        raise InputError(notice_of_one_class(names[first], knows_other=False))
    said = [_contradiction(lessons, names)] if others else []
    unknown = [names[index] for index in np.flatnonzero(~painted & ~knows)]
    if unknown:
        more = f" and {len(unknown) - 1} more have" if len(unknown) > 1 else " has"
        said.append(f"The class {unknown[0]}{more} no stroke yet and will be found nowhere.")
    elif not others:
        said.append(notice_of_one_class(names[first], knows_other=True))
    return " ".join(filter(None, said))


def notice_of_one_class(name: str, *, knows_other: bool) -> str:
    """Say why strokes of one class alone teach little, or nothing.

    Args:
        name: of the class.
        knows_other: whether the model knows another one.
    """
    if knows_other:
        return f"All strokes are of the class {name}; paint where it ends, too."
    return (
        f"All strokes are of the class {name} and the model knows no other; paint a second class."
    )


@torch.no_grad()
def _contradiction(lessons: Sequence[Lesson], names: Sequence[str]) -> str:
    """Return which classes' strokes contradict one another, in a sentence; empty if none do."""
    cells = [lesson.cells for lesson in lessons]
    step = -(-sum(len(c.labeled_NF) for c in cells) // _MOST_CELLS) or 1
    sampled_MF = torch.cat([c.sampled_MF for c in cells])
    scale_F = feature_scale(sampled_MF)
    features_NF = torch.cat([c.labeled_NF[::step] for c in cells]) / scale_F
    label_N = torch.cat([c.shares_NK[::step].argmax(dim=1) for c in cells])
    image_N = torch.cat([torch.full_like(c.area_N[::step], i) for i, c in enumerate(cells)])
    average = 2 * (sampled_MF / scale_F).var(dim=0).sum()
    distance_NN = torch.cdist(features_NF, features_NF).square()
    differs_NN = (image_N[:, None] != image_N) & (label_N[:, None] != label_N)
    nearest_N = distance_NN.masked_fill(~differs_NN, torch.inf).min(dim=1)
    is_like_N = (nearest_N.values <= _NEAR * average).cpu().numpy()
    own_N, like_N = (t.cpu().numpy() for t in (label_N, label_N[nearest_N.indices]))
    strokes = [lesson.stroke_N[::step] for lesson in lessons]
    # Numbers of an image's strokes, made different from those of the images before.
    first_I = np.cumsum([0, *(int(s.max(initial=0)) + 1 for s in strokes)])
    stroke_N = np.concatenate([s + first for s, first in zip(strokes, first_I, strict=False)])
    share_S = np.bincount(stroke_N, is_like_N) / np.bincount(stroke_N).clip(1)
    pairs = np.stack([own_N, like_N])[:, is_like_N & (share_S[stroke_N] >= _SHARE)]
    if not pairs.size:
        return ""
    kinds, counts = np.unique(np.sort(pairs, axis=0), axis=1, return_counts=True)
    one, other = kinds[:, counts.argmax()]
    return (
        f"Strokes of {names[one]} and {names[other]} contradict one another: "
        "on two images they lie on what looks the same."
    )
