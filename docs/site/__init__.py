"""The documentation as a site: `make docs`, which is `python -m docs.site`, builds `out/docs/index.html`.

The pages of `docs/`, of `benchmarks/` and of `studies/` are copied into one folder, with their links (`sources`);
beside them come a page for every command (`command_line`), pages of the public names (`public_names`) and figures of
the shipped runs (`gallery`). Sphinx makes HTML of it, and every link and anchor of that is followed (`links`).
"""
