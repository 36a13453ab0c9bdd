"""Plots of sessions: data first, then drawn by Matplotlib or Plotly."""
