"""One page per file: `pages(material)` returns what to write, as strings and numbers; templates hold the HTML."""
