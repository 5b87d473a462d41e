"""The command line as a whole."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.cli import doctor
from app.cli.main import build_parser
from mdlstm_core import __version__


def all_commands() -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """The parser of each command, and of each action of commands that have some."""
    found: dict[tuple[str, ...], argparse.ArgumentParser] = {}

    def visit(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, inner in action.choices.items():
                    found[(*words, name)] = inner
                    visit(inner, (*words, name))

    visit(build_parser(), ())
    return found


def test_commands_are_those_that_are_documented() -> None:
    names = {words[0] for words in all_commands()}

    assert names == {
        *("predict", "train", "average", "learn", "evaluate"),
        *("gates", "export", "import", "project"),
        *("texture", "volume", "doctor"),
    }
    actions = {words[1] for words in all_commands() if words[0] == "project" and words[1:]}
    assert actions == {"new", "add", "info", "check", "repair"}


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_help_has_examples(
    mdlstm: Callable[..., Any], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as caught:
        mdlstm(*words, "--help")

    assert caught.value.code == 0
    assert f"examples:\n  mdlstm {' '.join(words)}" in capsys.readouterr().out


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_examples_are_calls_that_are_understood(words: tuple[str, ...]) -> None:
    epilog = all_commands()[words].epilog
    whole = epilog.replace("\\\n", "").splitlines()
    given = [line for line in whole if line.startswith("  mdlstm")]
    lines = [line.partition(" > ")[0].partition("  #")[0] for line in given]

    assert lines
    for line in lines:
        assert build_parser().parse_args(shlex.split(line)[1:]).command == words[0]


def test_what_is_done_can_be_printed_as_json() -> None:
    for words, parser in all_commands().items():
        has_actions = any(
            len(other) > len(words) and other[0] == words[0] for other in all_commands()
        )
        if not has_actions:
            assert "--json" in parser.format_usage(), words


def test_wrong_options_end_with_2(mdlstm: Callable[..., Any]) -> None:
    with pytest.raises(SystemExit) as caught:
        mdlstm("project", "nonsense")

    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("texture a --scribbles b --out c --seconds nan", "nan is not a number above 0"),
        ("texture a --scribbles b --out c --steps 0", "0 is not a whole number from 1 on"),
        ("texture a --scribbles b --out c --seed -1", "not a whole number from 0 to 4294967295"),
        ("volume train a --labels b --out c --minutes inf", "inf is not a number above 0"),
        ("volume train a --labels b --out c --steps 2.5", "invalid whole number value: '2.5'"),
        ("volume train a --labels b --out c --seed 4294967296", "4294967296 is not a whole"),
        ("learn a --seconds nan", "nan is not a number above 0"),
        ("gates a --out b --seconds -1", "-1 is not a number above 0"),
    ],
)
def test_numbers_out_of_their_range_are_refused(
    mdlstm: Callable[..., Any], capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        mdlstm(*words.split())

    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_version(mdlstm: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        mdlstm("--version")

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"mdlstm {__version__}\n"


def test_ctrl_c_ends_without_a_traceback(
    mdlstm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "findings", stop)

    assert mdlstm("doctor") == (130, "", "mdlstm: stopped.\n")


def test_what_nobody_expected_is_in_the_log(
    mdlstm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(doctor, "findings", fail)

    result = mdlstm("doctor")

    assert (result.code, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert "unexpected happened (ZeroDivisionError)" in result.err
    log = Path(result.err.rstrip(".\n").rpartition("details are in ")[2])
    assert "ZeroDivisionError: by nought" in log.read_text("utf-8")


ROOT = Path(__file__).parents[3]
RUN = [sys.executable, "-m", "app.cli.main"]


def on_terminal(arguments: list[object], answer: str = "") -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and what it shows."""
    import pty
    import termios

    here, there = pty.openpty()
    termios.tcsetwinsize(here, (24, 100))
    with subprocess.Popen(
        [*RUN, *map(str, arguments)], cwd=ROOT, stdin=there, stdout=there, stderr=there
    ) as process:
        os.close(there)
        os.write(here, answer.encode())
        shown = b""
        while True:
            try:
                part = os.read(here, 4096)
            except OSError:  # the terminal is closed at the other end
                break
            if not part:
                break
            shown += part
        code = process.wait()
    os.close(here)
    return code, shown.decode()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (9, 9)).save(folder / f"{name}.png")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_progress_on_a_terminal_and_none_in_a_pipe(photos: Path) -> None:
    piped = subprocess.run(
        [*RUN, "project", "new", photos, "--json"], cwd=ROOT, capture_output=True, check=True
    )
    assert piped.stderr == b""
    assert piped.stdout.count(b"\n") == 1
    (photos / "photos.mdlp").unlink()

    code, shown = on_terminal(["project", "new", photos])
    assert code == 0
    assert "3/3" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_terminal_is_asked_before_anything_is_written(tiny_dataset: Path, tmp_path: Path) -> None:
    command = ["export", tiny_dataset, "--format", "npy", "--out", tmp_path / "out"]

    code, shown = on_terminal(command, "n\n")
    assert code == 0
    assert "sky    ->  sky" in shown
    assert "Nothing was written." in shown
    assert not (tmp_path / "out").exists()
    assert on_terminal(command, "y\n")[0] == 0
    assert (tmp_path / "out" / "scene_0.npy").is_file()
    assert "[y/N]" not in on_terminal([*command, "--overwrite", "--yes"])[1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_reader_that_goes_away_early_is_no_error(photos: Path) -> None:
    command = f"{shlex.join([*RUN, 'project', 'new', str(photos)])} | true"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, check=False)

    assert done.stderr == b""
