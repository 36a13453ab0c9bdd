"""The actions of `agy-nb cassette`.

```
terminal_tables  print lines and tables
listing          list, show
comparing        diff, textconv
git_revisions    folders as they were in a revision of git
verifying        verify, also against a live model
rewriting        redact, label, migrate, export
pruning          prune
```
"""
