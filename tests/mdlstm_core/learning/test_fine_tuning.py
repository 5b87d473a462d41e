"""Learning from strokes: what it teaches, when it ends, and what poor strokes do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from mdlstm_core.checkpoint import Checkpoint, checkpoint_of, with_outputs
from mdlstm_core.config import IGNORE_INDEX, LabelClass, NetworkConfig
from mdlstm_core.errors import InputError
from mdlstm_core.learning.fine_tuning import (
    LearningOptions,
    LearningProgress,
    LearningResult,
    fine_tune,
)
from mdlstm_core.learning.lessons import CorrectedImage, Preparation, views_of
from mdlstm_core.network import build_network
from mdlstm_core.prediction import predict

CPU = torch.device("cpu")
NAMES = ("red", "green", "blue")


@pytest.fixture
def checkpoint(scene_config: NetworkConfig) -> Checkpoint:
    torch.manual_seed(1)
    classes = tuple(LabelClass(name, (0, 0, 0)) for name in NAMES)
    return checkpoint_of(build_network(scene_config), Checkpoint(scene_config, classes, {}))


def thirds(seed: int, side: int = 96) -> np.ndarray:
    """An image in three colours, noisy."""
    image = np.random.default_rng(seed).integers(0, 60, (side, side, 3)).astype(np.uint8)
    for index in range(3):
        image[:, index * side // 3 : (index + 1) * side // 3, index] += 180
    return image


def painted(seed: int, strokes: int = 1, side: int = 96) -> CorrectedImage:
    """A stroke or more in each third."""
    labels = np.full((side, side), IGNORE_INDEX, np.uint8)
    for number in range(strokes):
        top = 6 + number * (side - 12) // strokes
        for index in range(3):
            left = index * side // 3 + 8
            labels[top : top + 4, left : left + 12] = index
    return CorrectedImage(thirds(seed, side), labels, str(seed))


def learned(
    checkpoint: Checkpoint,
    images: list[CorrectedImage],
    on_progress: Callable[[LearningProgress], None] = lambda _: None,
    stop: threading.Event | None = None,
    labels: Sequence[int] | None = None,
    **options: float,
) -> LearningResult:
    chosen = LearningOptions(**({"steps": 40, "seconds": 120} | options))  # type: ignore[arg-type]
    return fine_tune(
        checkpoint,
        lambda: images,
        chosen,
        CPU,
        on_progress,
        stop or threading.Event(),
        labels=labels,
    )


def test_learns_what_was_painted_and_measures_it_on_other_strokes(checkpoint: Checkpoint) -> None:
    images = [painted(seed, strokes=6) for seed in range(4)]
    steps: list[LearningProgress] = []
    result = learned(checkpoint, images, steps.append, enough=0.0)
    said = predict(result.checkpoint.network(), thirds(99)).label_map
    truth = np.repeat([0, 1, 2], 32)[np.newaxis].repeat(96, axis=0)
    assert (said == truth).mean() > 0.9
    assert result.before is not None
    assert result.figures is not None
    assert result.figures.strokes + result.strokes == 4 * 6 * 3
    assert result.figures.pixel_accuracy > 0.9 > result.before.pixel_accuracy
    assert result.overfits == ""
    measured = [step.held_out for step in steps if step.held_out is not None]
    assert len(measured) >= 2
    assert measured[-1] > 0.8


def test_again_gives_the_same(checkpoint: Checkpoint) -> None:
    images = [painted(0), painted(1)]
    first, second = (learned(checkpoint, images, steps=4).checkpoint.weights for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("strokes", "moves_all"), [(1, False), (30, True)])
def test_few_strokes_move_the_late_layers_alone(
    checkpoint: Checkpoint, strokes: int, moves_all: bool
) -> None:
    result = learned(checkpoint, [painted(0, strokes, side=192)], steps=3, enough=0.0)
    moved = {
        name
        for name, value in result.checkpoint.weights.items()
        if not torch.equal(value, checkpoint.weights[name])
    }
    network = checkpoint.network()
    late = {weight for layer in network.late_layers for weight in layer.parameters()}
    expected = {name for name, weight in network.named_parameters() if moves_all or weight in late}
    assert moved == expected
    assert len(late) < len(list(network.parameters()))


def test_ends_in_time_with_more_images_than_it_has_time_for(checkpoint: Checkpoint) -> None:
    read: list[int] = []

    def slow(number: int) -> CorrectedImage:
        time.sleep(0.05)
        read.append(number)
        return painted(0)

    images = (slow(number) for number in range(100))
    options = LearningOptions(seconds=1, steps=10_000, enough=0.0)
    result = fine_tune(checkpoint, lambda: images, options, CPU, lambda _: None, threading.Event())
    only = "1 corrected image" if len(read) == 2 else f"{len(read) - 1} corrected images"
    assert result.notice == f"The time sufficed for {only} only; allow more seconds."
    # Nothing more is read: that takes time, too.
    assert len(read) <= 9


class LookClock:
    """A clock by which a look at an image takes a second and a step three; nothing else any."""

    def __init__(self) -> None:
        self.now = 0.0

    def on_run(self, module: nn.Module, _inputs: object, _output: object) -> None:
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            self.now += 3.0 if torch.is_grad_enabled() else 1.0


@pytest.fixture
def look_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[LookClock]:
    clock = LookClock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    handle = register_module_forward_hook(clock.on_run)
    yield clock
    handle.remove()


@pytest.mark.parametrize("strokes", [1, 6])
@pytest.mark.parametrize("seconds", [5, 8, 12, 20, 30, 50])
def test_does_not_begin_what_would_end_too_late(
    checkpoint: Checkpoint, look_clock: LookClock, strokes: int, seconds: int
) -> None:
    """With strokes that are set aside and measured on, and without."""
    images = [painted(seed, strokes) for seed in range(2)]
    steps: list[LearningProgress] = []
    result = learned(checkpoint, images, steps.append, seconds=seconds, steps=1000, enough=0.0)
    assert look_clock.now <= seconds
    assert result.figures is None or strokes == 6
    # Two looks to prepare, a step, two looks to shrink; with measuring, three times two more.
    assert bool(steps) == (seconds > (7 if strokes == 1 else 13))
    changed = {
        k for k, v in checkpoint.weights.items() if not v.equal(result.checkpoint.weights[k])
    }
    assert changed
    if not steps:
        assert all(name.startswith(("context.", "logits_")) for name in changed)
    else:
        assert look_clock.now > seconds - 13


def test_stop_keeps_what_was_learned(checkpoint: Checkpoint) -> None:
    stop, seen = threading.Event(), []

    def on_progress(progress: LearningProgress) -> None:
        seen.append(progress)
        if len(seen) == 3:
            stop.set()

    result = learned(checkpoint, [painted(0)], on_progress, stop, enough=0.0)
    assert len(seen) == 3
    assert any(
        not torch.equal(result.checkpoint.weights[k], v) for k, v in checkpoint.weights.items()
    )


def test_the_first_improvement_changes_only_the_last_layer(checkpoint: Checkpoint) -> None:
    found: list[Checkpoint] = []
    options = LearningOptions(steps=1)
    fine_tune(
        checkpoint,
        lambda: [painted(0)],
        options,
        CPU,
        lambda _: None,
        threading.Event(),
        found.append,
    )
    (improved,) = found
    changed = {k for k, v in checkpoint.weights.items() if not torch.equal(v, improved.weights[k])}
    assert changed
    assert all(name.startswith(("context.", "logits_")) for name in changed)
    before, after = (
        (predict(c.network(), thirds(0)).label_map == painted(0, 8).corrections).sum()
        for c in (checkpoint, improved)
    )
    assert after > before


def test_untouched_pixels_are_held(checkpoint: Checkpoint) -> None:
    """Held hard, what nobody touched changes less than without."""
    image = painted(0)
    said = predict(checkpoint.network(), image.image)

    def moved(keep: float) -> float:
        result = learned(checkpoint, [image], keep=keep, enough=0.0, steps=15)
        confidence = predict(result.checkpoint.network(), image.image).confidence.astype(float)
        return float(np.abs(confidence - said.confidence).mean())

    assert moved(keep=30.0) < 0.7 * moved(keep=0.0)


def test_one_pixel_and_one_class_of_a_model_that_knows_others(checkpoint: Checkpoint) -> None:
    labels = np.full((96, 96), IGNORE_INDEX, np.uint8)
    labels[50, 50] = 1
    result = learned(checkpoint, [CorrectedImage(thirds(0), labels)], steps=3)
    assert result.notice == "All strokes are of the class green; paint where it ends, too."
    assert (result.strokes, result.figures) == (1, None)
    assert all(v.isfinite().all() for v in result.checkpoint.weights.values())


def merged(image: CorrectedImage) -> CorrectedImage:
    """The strokes of red as those of green: red was merged into it."""
    labels = np.where(image.corrections == 0, np.uint8(1), image.corrections)
    return CorrectedImage(image.image, labels, image.name)


MERGED = (1, 1, 2)


def test_what_a_merged_class_is_given_counts_as_right(checkpoint: Checkpoint) -> None:
    """The model tells red from green, which are one class now: nothing is left to learn."""
    images = [painted(seed, strokes=6) for seed in range(4)]
    knows = learned(checkpoint, images, enough=0.0).checkpoint
    losses: list[float] = []
    result = learned(
        knows, [merged(i) for i in images], lambda p: losses.append(p.loss), labels=MERGED
    )
    assert result.before is not None
    assert result.figures is not None
    assert result.before.classes == result.figures.classes == ("green", "blue")
    assert result.before.pixel_accuracy > 0.9
    assert result.figures.pixel_accuracy > 0.9
    assert losses[0] < 0.2
    assert (result.overfits, result.notice) == ("", "")
    said = predict(result.checkpoint.network(), thirds(99)).label_map
    assert (said[:, :32] == 0).mean() > 0.9  # it tells them apart still


def test_merged_classes_are_learned_as_one(checkpoint: Checkpoint) -> None:
    images = [merged(painted(seed, strokes=6)) for seed in range(4)]
    result = learned(checkpoint, images, labels=MERGED, enough=0.0)

    def loss(model: Checkpoint) -> float:
        """Of the merged class, on another image: by hand."""
        network = model.network()
        seen = torch.from_numpy(thirds(99)).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            p = network.enlarge(network(seen), 96, 96).softmax(dim=1)[0, :, :, :64]
        return -float((p[0] + p[1]).log().mean())

    assert loss(result.checkpoint) < 0.5 * loss(checkpoint)
    assert result.figures is not None
    assert result.figures.pixel_accuracy > 0.9
    assert result.notice == ""


def test_one_class_that_is_new_and_alone_is_refused(checkpoint: Checkpoint) -> None:
    blank = with_outputs(checkpoint, [None, None, None], checkpoint.classes)
    labels = np.full((96, 96), IGNORE_INDEX, np.uint8)
    labels[20:30, 20:30] = 2
    with pytest.raises(InputError, match="class blue and the model knows no other"):
        learned(blank, [CorrectedImage(thirds(0), labels)])


def test_a_new_class_without_a_stroke_is_named_and_found_nowhere(checkpoint: Checkpoint) -> None:
    grown = with_outputs(checkpoint, [0, 1, None], checkpoint.classes)
    labels = painted(0).corrections.copy()
    labels[labels == 2] = IGNORE_INDEX
    result = learned(grown, [CorrectedImage(thirds(0), labels)], steps=3)
    assert result.notice == "The class blue has no stroke yet and will be found nowhere."
    assert (predict(result.checkpoint.network(), thirds(0)).label_map != 2).all()


def test_strokes_that_contradict_one_another_are_named(checkpoint: Checkpoint) -> None:
    grey = np.full((96, 96, 3), 128, np.uint8)
    images = []
    for label in range(3):
        labels = np.full((96, 96), IGNORE_INDEX, np.uint8)
        labels[40:50, 40:50] = label
        images.append(CorrectedImage(grey, labels, str(label)))
    result = learned(checkpoint, images, steps=12)
    assert "contradict" in result.notice
    assert all(v.isfinite().all() for v in result.checkpoint.weights.values())


def bars(label: int, name: str, change: int = 0) -> CorrectedImage:
    """A picture, with one colour changed by so much, and two strokes of a class."""
    labels = np.full((96, 96), IGNORE_INDEX, np.uint8)
    labels[20:24, 10:80] = labels[60:64, 10:80] = label
    image = thirds(0)
    image[..., 1] += np.uint8(change)
    return CorrectedImage(image, labels, name)


CONTRADICTORY = (
    "Strokes of red and blue contradict one another: on two images they lie on what looks the same."
)


@pytest.mark.parametrize("change", [0, 2])
@pytest.mark.parametrize("steps", [1, 40])
def test_two_classes_on_one_picture_contradict_one_another(
    checkpoint: Checkpoint, steps: int, change: int
) -> None:
    """However well or long they were learned."""
    images = [bars(0, "a"), bars(2, "b", change), painted(5)]
    assert learned(checkpoint, images, steps=steps).notice == CONTRADICTORY


def test_one_wrong_stroke_among_many_contradicts_them(checkpoint: Checkpoint) -> None:
    wrong = painted(2)
    wrong.corrections[:] = IGNORE_INDEX
    wrong.corrections[6:10, 8:20] = 2
    images = [*(painted(seed, strokes=6) for seed in range(4)), wrong]
    assert learned(checkpoint, images[:4], steps=1).notice == ""
    assert learned(checkpoint, images, steps=1).notice == CONTRADICTORY


@pytest.mark.parametrize(
    ("second", "labels"), [(bars(0, "b"), None), (bars(2, "b"), (0, 1, 0)), (painted(5), None)]
)
def test_what_says_the_same_or_lies_elsewhere_contradicts_nothing(
    checkpoint: Checkpoint, second: CorrectedImage, labels: tuple[int, ...] | None
) -> None:
    """However short the run is."""
    result = learned(checkpoint, [bars(0, "a"), second], steps=1, labels=labels)
    assert "contradict" not in result.notice


def test_classes_that_meet_contradict_nothing(checkpoint: Checkpoint) -> None:
    images = [
        CorrectedImage(thirds(seed), np.arange(96, dtype=np.uint8)[None].repeat(96, 0) // 32, "")
        for seed in range(3)
    ]
    assert learned(checkpoint, images, steps=1).notice == ""


def test_without_a_stroke_there_is_nothing_to_learn(checkpoint: Checkpoint) -> None:
    nothing = np.full((96, 96), IGNORE_INDEX, np.uint8)
    with pytest.raises(InputError, match="paint a correction first"):
        learned(checkpoint, [CorrectedImage(thirds(0), nothing)])


def test_views_show_image_and_labels_at_the_same_place(checkpoint: Checkpoint) -> None:
    """In an image whose red value is its label, it still is in every view."""
    labels = np.repeat(np.repeat(np.arange(3, dtype=np.uint8), 84)[:250], 300).reshape(250, 300)
    image = np.zeros((250, 300, 3), np.uint8)
    image[..., 0] = labels * 100
    network = checkpoint.network()
    preparation = Preparation(network, 1.0)
    preparation.add(CorrectedImage(image, labels))
    (lesson,) = preparation.lessons()
    generator = np.random.default_rng(0)
    for _ in range(5):
        views = views_of(lesson, network.output_stride, network.config.window, generator)
        assert views.images_B3HW.shape[2:] == views.labels_BHW.shape[1:]
        assert views.before_BKhw.shape[2:] == views.kept_Bhw.shape[1:]
        levels = [
            views.images_B3HW[:, 0][views.labels_BHW == label].median()
            for label in views.labels_BHW.unique()
        ]
        assert levels == sorted(levels)
        assert len(levels) == 1 or levels[-1] - levels[0] > 0.2


def test_results_can_be_stored(checkpoint: Checkpoint, tmp_path: Path) -> None:
    from mdlstm_core.checkpoint import load_checkpoint, save_checkpoint

    result = learned(checkpoint, [painted(0)], steps=2)
    save_checkpoint(result.checkpoint, tmp_path / "m.safetensors")
    assert load_checkpoint(tmp_path / "m.safetensors").classes == checkpoint.classes
