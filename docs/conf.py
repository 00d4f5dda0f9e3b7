"""How the documentation is built: sphinx-build -W docs build/docs."""

import html
import re
from pathlib import Path

try:
    from latex2mathml.converter import convert
except ImportError:  # formulas then need MathJax, from the network
    convert = None

project = "factored_asr"
copyright = "the authors of factored_asr"
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
    "sphinx.ext.mathjax", "sphinx_copybutton",
]  # fmt: skip
html_theme = "furo"
html_title = "factored_asr"
html_extra_path = ["animation"]  # pages that stand alone
html_static_path, html_css_files = ["_static"], ["site.css"]
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
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    '<div class="math ': '<div tabindex="0" class="math ',
}
"""What the theme leaves out: names of landmarks, levels of headings, keys that scroll code,
tables and formulas."""


SOURCE = re.compile(r'<a class="reference download internal" download="" href="((?:\.\./)*)'
                    r'_downloads/\w+/\w+\.py">(?=<span[^>]*><code[^>]*>(?:<span[^>]*>)?'
                    r"(factored_asr/[\w/]+)\.py)")
"""A link of a page to a module, which would be a download."""

FORMULA = re.compile(r'(<(?:span|div)[^>]* class="math notranslate nohighlight"[^>]*>)\s*'
                     r"\\([(\[])(.*?)\\[)\]]\s*(?=</(?:span|div)>)", re.DOTALL)
"""A formula as MathJax gets it."""


def setup(app):
    """Mend the pages once they are written."""
    app.connect("build-finished", mend)


def mend(app, error):
    """Add to each page what `ACCESSIBLE` says; lead links to modules to their coloured source.

    Formulas become MathML, which browsers draw without the network; MathJax takes it, too.
    """
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir)

    def to_source(found):
        shown = f"_modules/{found[2]}.html"
        if not (folder / shown).is_file():
            return found[0]
        return f'<a class="reference internal" href="{found[1]}{shown}">'

    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for theirs, ours in ACCESSIBLE.items():
            text = text.replace(theirs, ours)
        if convert is not None:
            text = FORMULA.sub(to_mathml, text)
        page.write_text(SOURCE.sub(to_source, text), encoding="utf-8")


def to_mathml(found):
    """Return a formula as MathML: a space behind names of functions, brackets that grow."""
    tex = re.sub(r"\\(log|exp)(?=\s+[a-zA-Z(])", r"\\\1\\,", html.unescape(found[3]))
    tex = re.sub(r"\\[bB]igg?([lr])", lambda side: r"\left" if side[1] == "l" else r"\right", tex)
    return found[1] + convert(tex, display="inline" if found[2] == "(" else "block")
