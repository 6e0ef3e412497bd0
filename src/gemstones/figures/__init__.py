"""How figures look and are saved, and those of both approaches.

altair and vl-convert (extra `report`) are imported inside the functions that draw. No analysis here: numbers come from
`gemstones.laws` and `gemstones.planning`.
"""
