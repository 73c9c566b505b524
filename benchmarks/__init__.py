"""What to ask: one file per loss and one for loading, run by asv against any commit of lossimpl.

Parameter lists are literal and append-only, because asv knows a result by its benchmark's name and the text of its
parameters: a value that is added keeps all history, one that is renamed loses it. They do not depend on what is
installed either; an implementation that is not there is skipped, with its reason in the side-car.
"""
