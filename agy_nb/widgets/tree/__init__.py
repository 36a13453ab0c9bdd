"""The nodes of a view, and how their changes reach the page."""
