"""Which images, in which order, and what they teach which head."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mdlstm_core.config import IGNORE_INDEX
from mdlstm_core.data.dataset import LabeledFolder
from mdlstm_core.errors import InputError
from mdlstm_core.training.processes import Processes
from mdlstm_core.training.sources import Source, Sources

VIEW = (18, 22)


@pytest.fixture
def two(tiny_dataset: Path, tmp_path: Path) -> tuple[Source, Source]:
    """A dataset of sky, grass and road, and one of grass, street and lamp."""
    other = tmp_path / "other"
    shutil.copytree(tiny_dataset, other)
    (other / "classes.json").write_text(json.dumps({"classes": ["grass", "street", "lamp"]}))
    first, second = (
        Source(LabeledFolder(root), LabeledFolder(root), tmp_path / f"{root.name}.out", same)
        for root, same in ((tiny_dataset, {}), (other, {"street": "road"}))
    )
    return first, second


def test_a_datasets_labels_teach_the_others_what_they_share(two: tuple[Source, Source]) -> None:
    sources = Sources(two, 0.5, VIEW, seed=0)
    seen: set[tuple[int, int]] = set()
    for epoch in range(4):
        for batch in sources.batches(epoch, 2):
            first, second = (labels.numpy() for labels in batch.labels)
            seen |= set(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    none = IGNORE_INDEX
    of_first = {(0, none), (1, 0), (2, none)}  # sky, grass, road
    of_second = {(1, 0), (2, 1), (none, 2)}  # grass, street, lamp
    assert seen - {(none, none)} == of_first | of_second


def test_every_process_takes_its_part_of_every_batch(two: tuple[Source, Source]) -> None:
    sources = Sources(two, 0.5, VIEW, seed=3)
    whole = list(sources.batches(1, 4))
    parts = [list(sources.batches(1, 4, Processes(rank, 2), workers=3)) for rank in (0, 1)]

    assert whole
    for together, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(together.images[0::2], first.images)
        assert torch.equal(together.images[1::2], second.images)
        assert torch.equal(together.labels[1][1::2], second.labels[1])


def test_first_dataset_makes_up_its_share(two: tuple[Source, Source]) -> None:
    others = len(two[1].train)
    assert Sources(two, 0.75, VIEW, 0).views_an_epoch == 4 * others
    assert Sources(two[:1], 0.75, VIEW, 0).views_an_epoch == len(two[0].train)


def test_rare_classes_count_more_and_the_average_pixel_counts_one(
    two: tuple[Source, Source],
) -> None:
    sources = Sources(two[:1], 0.5, VIEW, 0)
    folder = two[0].train
    labels = np.concatenate([folder.load(i).labels.ravel() for i in range(len(folder))])
    counts = np.bincount(labels[labels != IGNORE_INDEX], minlength=3)

    (weights,) = sources.class_weights(0.5)

    assert np.argsort(weights.numpy()).tolist() == np.argsort(-counts).tolist()
    assert float((weights.numpy() * counts).sum() / counts.sum()) == pytest.approx(1.0)
    assert torch.equal(sources.class_weights(0.0)[0], torch.ones(3))


def test_foreign_synonym_is_refused(two: tuple[Source, Source], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no class 'abacus'"):
        Source(two[0].train, two[0].validation, tmp_path / "x", {"abacus": "sky"})


def test_every_image_is_read_once_to_check_it(two: tuple[Source, Source]) -> None:
    followed: list[tuple[int, int]] = []

    Sources(two, 0.5, VIEW, 0).check(lambda *done: followed.append(done))

    # To learn from and to measure on are the same images here.
    assert followed == [(done, 8) for done in range(1, 9)]
