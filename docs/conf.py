"""How the documentation is built: sphinx-build -W docs build/docs."""

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
