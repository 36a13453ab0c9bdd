"""Token usage as a table, a chart and text."""
