"""Widgets; they draw the document and hand gestures to the session."""
