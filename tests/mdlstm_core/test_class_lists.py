"""Lists of classes come back as they were written, and say what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlstm_core.config import LabelClass
from mdlstm_core.errors import InputError
from mdlstm_core.formats.class_lists import read_class_list, save_class_list
from mdlstm_core.palette import default_color

_NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12
).filter(lambda name: name == name.strip() and name != "\ufeff" * len(name))
_CLASSES = st.lists(
    st.none() | st.builds(LabelClass, _NAMES, st.tuples(*[st.integers(0, 255)] * 3)),
    min_size=1,
    max_size=30,
    unique_by=lambda c: c.name if c else object(),
).filter(lambda classes: classes[-1] is not None)


@given(classes=_CLASSES)
def test_json_keeps_names_places_and_colors(
    classes: list[LabelClass | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lists") / "classes.json"
    save_class_list(classes, path)
    assert list(read_class_list(path)) == classes


@given(classes=_CLASSES)
def test_lines_keep_names_and_places(
    classes: list[LabelClass | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lists") / "classes.txt"
    save_class_list(classes, path)
    found = read_class_list(path)
    assert [c and c.name for c in found] == [c and c.name for c in classes]
    assert all(c is None or c.color == default_color(i) for i, c in enumerate(found))


def test_reads_what_other_tools_write(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes("\ufeffsky\r\ntree \r\n\r\n".encode())
    assert [c and c.name for c in read_class_list(path)] == ["sky", "tree"]
    path = tmp_path / "classes.json"
    path.write_text('["sky", null, "road"]')
    assert [c and c.name for c in read_class_list(path)] == ["sky", None, "road"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "names no classes"),
        ("a.txt", b"sky\nsky\n", "sky twice"),
        ("a.txt", b"\xff\xfe\x00", "UTF-8"),
        ("a.txt", "\n".join(map(str, range(256))).encode(), "256 classes; at most 255"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"3", 'no list "classes"'),
        ("a.json", b'{"classes": ["a", 3]}', "a class 3"),
        ("a.json", b'{"classes": ["a", " "]}', "not empty"),
        ("a.json", b'{"classes": ["a"], "colors": []}', "as many entries"),
        ("a.json", b'{"classes": ["a"], "colors": [[1, 2, 256]]}', "0 to 255"),
        ("a.json", b'{"classes": ["a"], "colors": ["red"]}', "0 to 255"),
        ("a.json", b'{"classes": ["a"], "colors": [[1, 2, true]]}', "0 to 255"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_class_list(path)
    assert said in str(error.value)
    assert name in str(error.value)


def test_says_which_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.txt cannot be read"):
        read_class_list(tmp_path / "missing.txt")


def test_lines_refuse_a_name_of_two_lines(tmp_path: Path) -> None:
    classes = [LabelClass("a\nb", (0, 0, 0))]
    with pytest.raises(InputError, match="line break"):
        save_class_list(classes, tmp_path / "classes.txt")
    save_class_list(classes, tmp_path / "classes.json")
    assert json.loads((tmp_path / "classes.json").read_text())["classes"] == ["a\nb"]
