"""The view of a comparison: answers side by side, with their differences."""
