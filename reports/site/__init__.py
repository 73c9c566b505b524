"""The static site and README's results, built from the record; nothing here measures.

build       every page from results/, as files
readme      README's results; figure its picture
material    what every page is made from; conditions where it was measured
feed        what nights reported, as an Atom feed
pages       one page per file
figures     one kind of figure per file
view        cells, tables, figures and pages before they are HTML
"""
