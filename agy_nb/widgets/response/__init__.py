"""A response in a cell: live while it runs, static HTML afterwards."""
