"""The rules that find secrets in text. Pure functions of text."""
