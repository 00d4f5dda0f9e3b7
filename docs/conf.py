"""How the documentation is built: sphinx-build -W docs build/docs."""

from pathlib import Path

project = "factored_asr"
copyright = "the authors of factored_asr"
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
    "sphinx.ext.mathjax", "sphinx_copybutton",
]  # fmt: skip
html_theme = "furo"
html_title = "factored_asr"
html_extra_path = ["animation"]  # pages that stand alone
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 2
napoleon_numpy_docstring, napoleon_google_docstring = True, False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# Shapes such as (n_frames,) in docstrings are names of several attributes.
suppress_warnings = ["misc.highlighting_failure", "ref.python"]

ACCESSIBLE = {
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer': '<aside aria-label="This page" class="toc-drawer',
    '<div class="content-icon-container">':
        '<div class="content-icon-container" role="navigation" aria-label="Tools">',
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    "<pre>": '<pre tabindex="0">',
}
"""What the theme leaves out: names of landmarks, levels of headings, keys that scroll code."""


def setup(app):
    """Mend the pages once they are written."""
    app.connect("build-finished", make_accessible)


def make_accessible(app, error):
    """Add to each page what `ACCESSIBLE` says."""
    if error or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for theirs, ours in ACCESSIBLE.items():
            text = text.replace(theirs, ours)
        page.write_text(text, encoding="utf-8")
