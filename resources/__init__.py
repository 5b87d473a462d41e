"""Files that the program ships: models with their cards, icons, palettes."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def model_names() -> list[str]:
    """Return the names of the shipped models."""
    return sorted(path.stem for path in (_HERE / "models").glob("*.safetensors"))


def model_path(name: str) -> Path | None:
    """Return the file of the shipped model `name`, or None if there is no such model."""
    return _HERE / "models" / f"{name}.safetensors" if name in model_names() else None
