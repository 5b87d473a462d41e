"""Every action of the window, declared once, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from app.views.icons import icon


@dataclass(frozen=True)
class ActionSpec:
    """One action.

    Attributes:
        name: unique, by which the action is found again.
        menu: the menu it stands in; a slash leads into a menu in a menu.
        text: as the menu shows it.
        shortcuts: either of them triggers it; at most two.
        icon: of Material Design Icons, empty for none.
        hint: what it does, for the status line, where its text does not say it all.
        group: actions of one group are checkable and exclude each other.
        checkable: whether it is on or off; its slot takes which.
        begins_section: whether a line stands above it in the menu.
    """

    name: str
    menu: str
    text: str
    shortcuts: tuple[str, ...] = ()
    icon: str = ""
    hint: str = ""
    group: str = ""
    checkable: bool = False
    begins_section: bool = False


class Actions(NamedTuple):
    """What was built: actions by name, each one's menu in words, and menus by their text."""

    by_name: dict[str, QAction]
    menu_of: dict[str, str]
    menus: dict[str, QMenu]


CLASS_KEYS = range(1, 11)
"""Numbers of the classes that a digit chooses; the tenth's is 0."""

_FILE, _EDIT, _TOOLS, _CLASSES = "&File", "&Edit", "&Tools", "&Classes"
_IMAGE, _VIEW, _MODEL, _HELP = "&Image", "&View", "&Model", "&Help"
_MEASURE = f"{_VIEW}/&Measure of uncertainty"
_SCHEME, _CHANGES = f"{_VIEW}/&Colours", f"{_MODEL}/C&hanges"
_CLOSER = f"{_MODEL}/L&ook closer"

LOOK_SIZES = ((400, 300), (600, 450), (800, 600), (1200, 900), (1600, 1200))
"""Width and height whose area a model can be told to look at."""

MENUS = (_FILE, _EDIT, _TOOLS, _CLASSES, _IMAGE, _VIEW, _MODEL, _HELP)
"""The menu bar, from left to right."""

ACTIONS = (
    ActionSpec("open", _FILE, "&Open images …", ("Ctrl+O",), "image-plus-outline"),
    ActionSpec("open-folder", _FILE, "Open &folder …", ("Ctrl+Shift+O",), "folder-open-outline"),
    ActionSpec("save", _FILE, "&Save", ("Ctrl+S",), "content-save-outline",
               "Every stroke is saved when the pen lifts; this says where", begins_section=True),
    ActionSpec("export", _FILE, "&Export mask …", ("Ctrl+E",), "export-variant",
               "Write the labels shown of this image as an indexed PNG"),
    ActionSpec("export-labels", _FILE, "Export la&bels …", ("Ctrl+Shift+E",),
               "folder-arrow-up-outline", "Write the project's labels in any format"),
    ActionSpec("import-labels", _FILE, "&Import labels …", ("Ctrl+Shift+I",),
               "folder-arrow-down-outline", "Read labels that other programs wrote"),
    ActionSpec("quit", _FILE, "&Quit", ("Ctrl+Q",), begins_section=True),
    ActionSpec("undo", _EDIT, "&Undo", ("Ctrl+Z",), "undo"),
    ActionSpec("redo", _EDIT, "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo"),
    ActionSpec("abort", _EDIT, "&Drop the stroke under way", ("Esc",)),
    ActionSpec("preferences", _EDIT, "Pre&ferences …", ("Ctrl+,",), "cog-outline",
               begins_section=True),
    ActionSpec("larger", _TOOLS, "&Larger brush", ("]",), "plus-circle-outline",
               begins_section=True),
    ActionSpec("smaller", _TOOLS, "&Smaller brush", ("[",), "minus-circle-outline"),
    ActionSpec("only-unlabeled", _TOOLS, "Paint only on &unlabeled pixels", (),
               "selection-ellipse", "Tools change only pixels that have no label yet",
               checkable=True, begins_section=True),
    ActionSpec("copy-previous", _TOOLS, "&Copy labels from the previous image", ("Ctrl+D",),
               "content-copy", "Copy what you labeled on the image before to where nothing is set",
               begins_section=True),
    ActionSpec("class-add", _CLASSES, "&Add a class", ("Ctrl+Shift+N",), "plus"),
    ActionSpec("class-rename", _CLASSES, "&Rename", ("F2",), "pencil-outline"),
    ActionSpec("class-recolor", _CLASSES, "Change the &colour …", (), "palette-outline"),
    ActionSpec("class-merge", _CLASSES, "&Merge into …", (), "call-merge",
               "Give this class's pixels to another class and remove it"),
    ActionSpec("class-delete", _CLASSES, "&Delete …", (), "trash-can-outline",
               "Remove this class; you say where its pixels go"),
    ActionSpec("class-hide", _CLASSES, "&Hide or show", ("H",), "eye-outline",
               "Hide this class on the canvas; Alt-click on the eye shows it alone",
               begins_section=True),
    ActionSpec("class-solo", _CLASSES, "Show it al&one", ("Shift+H",), "eye-circle-outline"),
    ActionSpec("class-lock", _CLASSES, "&Lock or unlock", (), "lock-outline",
               "No tool changes the pixels of a locked class"),
    ActionSpec("class-only", _CLASSES, "Paint only &on it, or anywhere", (), "target",
               "Tools change only pixels that show this class; several classes can be chosen"),
    ActionSpec("class-import", _CLASSES, "&Import classes …", (), "import",
               "Read classes from classes.txt or JSON", begins_section=True),
    ActionSpec("class-export", _CLASSES, "&Export classes …", (), "export",
               "Write classes.txt or JSON"),
    *(
        ActionSpec(f"class-{n}", f"{_CLASSES}/&Paint", f"Paint class {n}", (str(n % 10),))
        for n in CLASS_KEYS
    ),
    ActionSpec("previous", _IMAGE, "&Previous image", ("A", "PgUp"), "chevron-left"),
    ActionSpec("next", _IMAGE, "&Next image", ("D", "PgDown"), "chevron-right"),
    ActionSpec("done", _IMAGE, "&Done, or not yet", ("Ctrl+Return",), "progress-check",
               "Mark the image as done; again takes the mark back"),
    ActionSpec("accept-image", _IMAGE, "&Use this file all the same", (), "image-check-outline",
               "Take the file that lies here now for the one that was labeled"),
    ActionSpec("search", _IMAGE, "&Search images", ("Ctrl+Shift+F",), "magnify",
               begins_section=True),
    ActionSpec("fit", _VIEW, "&Fit to window", ("Ctrl+F", "Ctrl+0"), "fit-to-page-outline"),
    ActionSpec("pixels", _VIEW, "&Actual pixels", ("Ctrl+1",), "numeric-1-box-outline"),
    ActionSpec("zoom-in", _VIEW, "Zoom &in", ("Ctrl++", "Ctrl+="), "magnify-plus-outline"),
    ActionSpec("zoom-out", _VIEW, "Zoom &out", ("Ctrl+-",), "magnify-minus-outline"),
    ActionSpec("labels", _VIEW, "Show &labels", ("V",), "layers-outline",
               "Look at the image without its labels, or with them again", checkable=True,
               begins_section=True),
    ActionSpec("outlines", _VIEW, "Only &outlines of labels", ("Shift+V",), "vector-polyline",
               "Draw only the borders between classes", checkable=True),
    ActionSpec("hatching", _VIEW, "&Hatch the model's labels", (), "texture",
               "Tell the model's labels from yours by stripes", checkable=True),
    ActionSpec("uncertainty", _VIEW, "Show &uncertainty", ("Shift+N",), "map-search-outline",
               "Show how unsure the model is, in place of its labels", checkable=True),
    ActionSpec("gates", _VIEW, "Show &gates", ("Shift+X",), "grid",
               "Show what a gate of the 2D-LSTM does, over the image; again hides it"),
    ActionSpec("measure-margin", _MEASURE, "&Margin of the two best classes",
               group="measure"),
    ActionSpec("measure-entropy", _MEASURE, "&Entropy of all classes", group="measure"),
    ActionSpec("rulers", _VIEW, "&Rulers", ("Ctrl+R",), "ruler", checkable=True),
    ActionSpec("scheme-system", _SCHEME, "As the &system", group="scheme"),
    ActionSpec("scheme-light", _SCHEME, "&Light", group="scheme"),
    ActionSpec("scheme-dark", _SCHEME, "&Dark", group="scheme"),
    ActionSpec("reset-panels", f"{_VIEW}/&Panels", "&Put all back"),
    ActionSpec("next-region", _MODEL, "&Next unsure place", ("N",), "map-marker-question-outline",
               "Go where the next stroke brings most, on this image or the next one"),
    ActionSpec("live", _MODEL, "Li&ve", ("Ctrl+L",), "lightning-bolt",
               "The model follows each stroke at once; what is stored of it stays as it is",
               checkable=True),
    ActionSpec("why", _MODEL, "Wh&y this class here?", ("X",), "help-circle-outline",
               "Split the logits of the pixel under the pointer, and show its context"),
    ActionSpec("learn", _MODEL, "&Learn from corrections", ("L",), "school-outline"),
    ActionSpec("stop", _MODEL, "&Stop learning", ("Shift+L",), "stop-circle-outline",
               "End learning and keep the best so far"),
    ActionSpec("cancel", _MODEL, "&Cancel learning", (), "close-circle-outline",
               "End learning and keep nothing: the model stays as it was"),
    ActionSpec("change-previous", _CHANGES, "&Previous changed region", ("Shift+J",),
               "arrow-left"),
    ActionSpec("change-next", _CHANGES, "&Next changed region", ("J",), "arrow-right",
               "Go to the next region that the training changed"),
    ActionSpec("change-accept", _CHANGES, "&Accept", ("Y",), "check",
               "Leave this region as the model labels it now"),
    ActionSpec("change-refuse", _CHANGES, "&Refuse", ("Shift+Y",), "close",
               "Give this region its label before, as your own; undoable"),
    ActionSpec("changes-accept", _CHANGES, "Accept all on this image", (), "check-all",
               "Leave all that is open on this image as it is now", begins_section=True),
    ActionSpec("changes-refuse", _CHANGES, "Refuse all on this image", (),
               "close-box-multiple-outline",
               "Set all that is open on this image back, as your own; one step to undo"),
    ActionSpec("look-trained", _CLOSER, "As the model was &trained", (), "",
               "Larger images are scaled down to the size that the model learned from",
               group="look"),
    *(
        ActionSpec(f"look-{width * height}", _CLOSER, f"At {width} × {height} pixels", (), "",
                   "Larger images are scaled down to so many pixels: more of them show finer "
                   "things and take longer", group="look", begins_section=number == 0)
        for number, (width, height) in enumerate(LOOK_SIZES)
    ),
    ActionSpec("palette", _HELP, "&Find an action …", ("Ctrl+K",), "text-search"),
    ActionSpec("shortcuts", _HELP, "&Keyboard shortcuts …", ("F1",), "keyboard-outline"),
)  # fmt: skip


def add_actions(
    window: QMainWindow,
    specs: Sequence[ActionSpec],
    slots: Mapping[str, Callable[..., object]],
) -> Actions:
    """Build the actions and the menus that they stand in.

    Args:
        window: where they are added.
        specs: the table.
        slots: what each action of the table calls.
    """
    built = Actions({}, {}, {})
    for text in MENUS:
        built.menus[text] = window.menuBar().addMenu(text)
    groups: dict[str, QActionGroup] = {}
    for spec in specs:
        action = _build(spec, window, slots[spec.name])
        if spec.group:
            action.setCheckable(True)
            groups.setdefault(spec.group, QActionGroup(window)).addAction(action)
        menu = _menu(built.menus, spec.menu)
        if spec.begins_section:
            menu.addSeparator()
        menu.addAction(action)
        built.by_name[spec.name] = action
        built.menu_of[spec.name] = spec.menu.replace("&", "").replace("/", " › ")
    return built


def _menu(menus: dict[str, QMenu], path: str) -> QMenu:
    """Return the menu of a path, made if it is not there yet."""
    if path not in menus:
        above, _, text = path.rpartition("/")
        menus[path] = _menu(menus, above).addMenu(text)
    return menus[path]


def _build(spec: ActionSpec, window: QMainWindow, slot: Callable[..., object]) -> QAction:
    action = QAction(spec.text, window)
    action.setShortcuts([QKeySequence(keys) for keys in spec.shortcuts])
    action.setCheckable(spec.checkable)
    if spec.icon:
        action.setIcon(icon(spec.icon))
    if spec.hint:
        action.setStatusTip(spec.hint)
    if spec.checkable:
        action.toggled.connect(slot)
    else:
        # Not the slot itself: the signal would hand on whether the action is checked.
        action.triggered.connect(lambda _checked=False: slot())
    return action
