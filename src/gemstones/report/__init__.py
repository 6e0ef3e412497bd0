"""Fits, envelopes and plans → figures, tables and one study of a data set; the only package that imports altair.

`study.study(load("gemstones"), Path("out"))` does it all; `approach1` and `approach3` draw the paper's
Figures 4 and 5, `tables` makes frames, `save` writes both, `summary` says what came out in words. No analysis
here: numbers come from `gemstones.laws` and `gemstones.planning`. altair and vl-convert (extra `report`) are
imported inside the functions that draw; tables and words do without.
"""
