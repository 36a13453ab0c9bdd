"""Usage as a table, a chart and words."""
