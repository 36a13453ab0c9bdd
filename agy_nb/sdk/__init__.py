"""The one seam to google-antigravity: nothing else of ours imports it.

`base` is the seam itself and imports nothing of the SDK; the rest stands behind it.
"""
