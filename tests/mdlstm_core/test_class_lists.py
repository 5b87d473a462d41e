"""Lists of classes survive a round trip, and bad ones are refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_lists import load_classes, save_classes
from mdlstm_core.palette import default_color

BYTE = st.integers(0, 255)
# Names as a person types them: no line breaks, no blanks around.
NAME = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
CLASSES = st.lists(
    st.builds(LabelClass, NAME, st.tuples(BYTE, BYTE, BYTE)),
    min_size=1,
    max_size=30,
    unique_by=lambda c: c.name,
)


@given(CLASSES)
def test_json_keeps_names_and_colours(
    tmp_path_factory: pytest.TempPathFactory, classes: list[LabelClass]
) -> None:
    path = tmp_path_factory.mktemp("lists") / "classes.json"
    save_classes(classes, path)
    assert list(load_classes(path)) == classes


@given(CLASSES)
def test_text_keeps_names_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, classes: list[LabelClass]
) -> None:
    path = tmp_path_factory.mktemp("lists") / "classes.txt"
    save_classes(classes, path)
    found = load_classes(path)
    assert [c.name for c in found] == [c.name for c in classes]
    assert [c.color for c in found] == [default_color(n) for n in range(len(classes))]


def test_reads_what_others_write(tmp_path: Path) -> None:
    text, names = tmp_path / "classes.txt", tmp_path / "classes.json"
    text.write_bytes("\ufeffsky\r\n\r\n tree \r\n".encode())
    names.write_text(json.dumps({"classes": ["sky", "tree"], "license": "none"}))
    assert load_classes(text) == load_classes(names)
    names.write_text('["sky", {"name": "tree"}]')
    assert load_classes(text) == load_classes(names)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "", "names no class"),
        ("a.txt", "sky\nsky\n", "names sky more than once"),
        ("a.txt", "\n".join(map(str, range(256))), "at most 255"),
        ("a.json", "{", "is not JSON"),
        ("a.json", "{}", 'no list of "classes"'),
        ("a.json", '["sky", 3]', "class number 1 has no name"),
        ("a.json", '[{"name": "sky", "color": "blue"}]', "the colour of sky"),
        ("a.json", '["sky", " "]', "a class without a name"),
    ],
)
def test_a_bad_list_is_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=said) as refused:
        load_classes(path)
    assert str(path) in str(refused.value)


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_classes(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="cannot be written"):
        save_classes([LabelClass("sky", (1, 2, 3))], tmp_path / "no-folder" / "classes.txt")
