"""One page per file: `pages(material)` returns pages of strings and numbers; the HTML is in the templates."""
