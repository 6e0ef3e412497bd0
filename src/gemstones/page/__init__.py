"""`report.html`: one self-contained page of a study, with an explorer that plans in the browser.

`page.page_html` assembles a `Page` of sections, figures and tables (`gemstones.report.page` makes one of a study);
`explorer.Explorer` is what its explorer offers. The scripts and the style are files beside the code, inlined as
they are. `numbers.js` to `intervals.js` mirror `gemstones.planning` exactly, which tests show in a browser; `map.js`,
`answer.js` and `explorer.js` show what they compute; `tables.js` sorts and downloads; `page.js` is the rest.
"""
