"""`mdlstm learn`: let a project's model learn from the corrections, as the window does."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.common import (
    NoticePrinter,
    add_command,
    add_device_option,
    add_json_option,
    add_model_option,
    number,
    print_result,
    progress_bar,
    raise_left_out,
    stopped_by_ctrl_c,
)
from app.document.project_classes import Outputs
from app.document.steps import Roles
from app.exchange.project_access import OpenProject, writing_project
from app.exchange.project_view import ProjectView, view_of
from app.storage.new_models import NewModel, joining
from mdlstm_core.config import DEFAULT_MODEL, IGNORE_INDEX, LEARNING_SECONDS
from mdlstm_core.data.images import read_image
from mdlstm_core.data.pages import image_file
from mdlstm_core.errors import InputError
from mdlstm_core.files import make_folder, write_whole

if TYPE_CHECKING:
    from mdlstm_core.checkpoint import Checkpoint
    from mdlstm_core.learning.fine_tuning import LearningProgress, LearningResult
    from mdlstm_core.learning.lessons import CorrectedImage
    from mdlstm_core.predictor import Predictor

_EXAMPLES = """examples:
  mdlstm learn photos/photos.mdlp
  mdlstm learn photos/photos.mdlp --seconds 300 --out mine.safetensors
  mdlstm learn photos/photos.mdlp --model scene-33 --json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command's options."""
    parser = add_command(
        commands,
        "learn",
        "let a project's model learn from the corrections",
        _EXAMPLES,
        "Fine-tune the model that a project began with on all its corrections and store it "
        "in the project, as Learn does in the window. Ctrl-C ends learning early and keeps the "
        "best so far; a second Ctrl-C keeps nothing.",
    )
    parser.add_argument("project", type=Path, help="the project (.mdlp)")
    parser.add_argument(
        "--seconds",
        type=number(0, ends=False),
        default=LEARNING_SECONDS,
        help="at most so long (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, metavar="MODEL", help="also write the model to a file")
    add_model_option(parser, default=None)
    add_device_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Learn and store the model.

    Raises:
        InputError: there is nothing to learn from, a window has the project open, or it
            cannot be written.
    """
    if options.out is not None:
        make_folder(options.out.absolute().parent)
    # Images are stored by their paths from the project's folder.
    with writing_project(Path(os.path.abspath(options.project))) as project:
        view = view_of(project.file)
        images = [found.path for found in view.images if found.status != "new"]
        there, left_out = _sound(view, images)
        if left_out and not there:
            raise left_out[0]
        _learn(options, project, view, there)
    raise_left_out(left_out)


def _sound(view: ProjectView, images: list[Path]) -> tuple[list[Path], list[InputError]]:
    """Return the images that can be learned from, and what is wrong with the others."""
    there, left_out = [], []
    for path in images:
        try:
            if not image_file(path).is_file():
                raise InputError(f"The image {path} is not there.")
            view.check(path)
        except InputError as error:
            left_out.append(error)
        else:
            there.append(path)
    return there, left_out


def _learn(
    options: argparse.Namespace, project: OpenProject, view: ProjectView, images: list[Path]
) -> None:
    from mdlstm_core.checkpoint import checkpoint_to_bytes, with_outputs
    from mdlstm_core.learning.measured import Measured
    from mdlstm_core.predictor import Predictor

    base, is_stored = _base(options, project)
    outputs = view.classes.outputs(base.classes)
    start = base if options.pixels else base.looking_at(project.file.pixels())
    predictor = Predictor(with_outputs(start, outputs.sources, outputs.classes), options.device)
    result, last = _fine_tuned(
        predictor, lambda: _corrected(view, images, outputs), outputs.labels, options.seconds
    )
    content = checkpoint_to_bytes(result.checkpoint)
    figures = Measured(result.figures, result.before, result.overfits).to_json()
    models = [NewModel("learned", content, result.strokes, figures=figures)]
    if not is_stored:
        models.insert(0, NewModel("imported", checkpoint_to_bytes(base)))
    _store(project, models, view.classes.known_with(outputs.names))
    if options.out is not None:
        write_whole(options.out, content)
    _report(options, result.checkpoint, last, len(images))


def _base(options: argparse.Namespace, project: OpenProject) -> tuple[Checkpoint, bool]:
    """Return the model to learn from, and whether the project has it as it is."""
    from mdlstm_core.checkpoint import checkpoint_from_bytes, load_checkpoint

    stored = None if options.model else project.file.load_model("base")
    base = (
        checkpoint_from_bytes(stored) if stored else load_checkpoint(options.model or DEFAULT_MODEL)
    )
    if options.pixels:
        return base.looking_at(options.pixels), False
    return base, stored is not None


def _fine_tuned(
    predictor: Predictor,
    corrected: Callable[[], Iterator[CorrectedImage]],
    labels: Sequence[int],
    seconds: float,
) -> tuple[LearningResult, LearningProgress | None]:
    """Learn with a bar on a terminal; return what that led to, and its last step."""
    from mdlstm_core.learning.fine_tuning import LearningOptions

    notices = NoticePrinter()
    notices.show(predictor.notice)
    last: list[LearningProgress] = []
    with progress_bar(None, "step") as bar, stopped_by_ctrl_c() as stop:

        def show(progress: LearningProgress) -> None:
            notices.show(progress.notice)
            last[:] = [progress]
            bar.total = progress.steps
            bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
            bar.update(progress.step - bar.n)

        result = predictor.learn(
            corrected, LearningOptions(seconds=seconds), show, stop, labels=labels
        )
    return result, last[-1] if last else None


def _store(project: OpenProject, models: list[NewModel], names: tuple[str, ...]) -> None:
    """Let models join the project's timeline, of which the last one serves."""
    first = max((row.number for row in project.file.checkpoints()), default=0) + 1
    roles = project.file.roles()
    if roles is None:
        models[0] = models[0]._replace(origin="start")
    elif len(models) > 1:
        roles = Roles(first, first)  # learning started from another model
    project.commit([joining(models, first, roles, names, serves=True)])


def _corrected(view: ProjectView, images: list[Path], outputs: Outputs) -> Iterator[CorrectedImage]:
    from mdlstm_core.learning.lessons import CorrectedImage

    for path in images:
        labels = view.labels(path)
        if labels is not None and (labels != IGNORE_INDEX).any():
            yield CorrectedImage(read_image(path), outputs.indices_of(labels))


def _report(
    options: argparse.Namespace, learned: Checkpoint, last: LearningProgress | None, images: int
) -> None:
    steps, loss = (last.step, last.loss) if last else (0, None)
    names = [label_class.name for label_class in learned.classes]
    out = str(options.out) if options.out is not None else None
    values = {
        "project": str(options.project),
        "images": images,
        "steps": steps,
        "loss": loss,
        "classes": names,
        "out": out,
    }
    text = f"{options.project}: learned {', '.join(names)} from {images} images in {steps} steps."
    print_result(options, values, text + (f"\nThe model is in {out}." if out else ""))
