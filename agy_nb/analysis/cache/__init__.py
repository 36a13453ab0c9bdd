"""A cache of the tables of recordings: Parquet files in the user's cache folder.

```
parts       the rows of some recordings, and how parts become the tables of a load
folder      where the cache is, who may read it, and which versions share it
segments    one part as Parquet files
store       which recordings are in the cache, and which have to be read
```
"""
