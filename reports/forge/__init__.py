"""The forge: comments on pull requests and issues of findings, through its REST API.

client    the few requests that we make, over PyGithub
artifact  the gate's report as an untrusted job uploaded it, checked against a schema
comment   the report as one comment on its pull request
issues    one issue per finding of the nights
approval  which commit of a pull request may run on a machine of our own
command   `python -m reports forge comment|issues|approve`
"""
