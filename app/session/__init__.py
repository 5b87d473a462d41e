"""The labeling session: joins project, project file and model; the only mediator."""

from app.session.labeling_session import LabelingSession

__all__ = ["LabelingSession"]
