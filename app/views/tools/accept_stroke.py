"""The accepting brush."""

from __future__ import annotations

from app.document.edit import Edit
from app.document.regions.taken_over import accepted
from app.document.stroke import Region
from app.views.tools.stroke_tool import StrokeTool
from app.views.tools.tool import Outcome, ToolContext, ToolSpec
from mdlstm_core.config import IGNORE_INDEX


class AcceptStroke(StrokeTool):
    """Makes the model's labels under the stroke the person's."""

    hint = "Accept: drag over the model's labels that are right · Shift takes back · Esc drops it"

    def of_region(self, region: Region, context: ToolContext) -> Outcome:
        """See `StrokeTool.of_region`."""
        document = context.document
        if context.erasing:
            return Edit(region, IGNORE_INDEX, "erase")
        if document.prediction is None:
            return None
        return accepted(document.prediction, document.corrections.values, region)


TOOL = ToolSpec(
    "accept", "&Accept the model", "T", "check-circle-outline", 160, AcceptStroke,
    ("diameter", "shape"),
)  # fmt: skip
