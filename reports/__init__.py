"""What runs from the checkout as `python -m reports COMMAND`; it is not installed, and lossimpl never imports it.

Reading, which never imports measuring (import contracts in pyproject.toml):
record      everything stored in results/, as one frame
statistics  ranks, answers, change points, tests of process pairs
site        pages, figures and README's results

Measuring:
sweep       measure HEAD through asv
gate        compare two revisions
forge       comments on pull requests and issues of findings
nightly     measure new commits and find those that changed a series
loaders     how well the search for loader settings works
"""
