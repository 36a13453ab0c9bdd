"""The nodes of a view, and the widget that sends their changes to the page."""
