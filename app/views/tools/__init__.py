"""The drawing tools, one file each behind one interface; adding a tool is adding a file."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from app.views.tools.tool import ToolSpec


@functools.cache
def all_tools() -> tuple[ToolSpec, ...]:
    """Return every tool: the `TOOL` of each module of this package, in their order."""
    names = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(name) for name in names]
    specs = [module.TOOL for module in modules if hasattr(module, "TOOL")]
    return tuple(sorted(specs, key=lambda spec: spec.order))
