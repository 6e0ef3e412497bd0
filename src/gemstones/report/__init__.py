"""From one table of runs to fits, frontiers, plans and every analysis, with tables, figures and a page.

`study.study(load("gemstones"), Path("out"))` does it all; `page` is its page, `tables` its tables, `summary` says what
came out in words.
"""
