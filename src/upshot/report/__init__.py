"""Reports: an analysis and its verdict as people read them.

`terminal.summary`, `document.markdown`, `page.html` and `notebook.repr_html` each take one `Findings`.
"""
