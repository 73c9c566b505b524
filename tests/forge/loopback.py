"""The forge's REST API on this machine, as strict as possible: a request that it does not expect is a violation.

Shapes of requests and answers are those of GitHub's REST API, version 2022-11-28.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

TOKEN = "secret-of-the-job"
REPOSITORY = "lossimpl/lossimpl"
BOT, PERSON = {"login": "github-actions[bot]", "type": "Bot"}, {"login": "someone", "type": "User"}


@dataclass
class State:
    """What the repository holds: `pulls` by number with the commit of each, comments by pull request, issues."""

    pulls: dict[int, str] = field(default_factory=dict)
    comments: dict[int, list[dict]] = field(default_factory=dict)
    issues: list[dict] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)  # by user
    reviewers: list[str] | None = None  # of the environment `benchmark`, which does not exist if None
    writes: list[tuple[str, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    refuse: int = 0  # the status of every answer, if not 0
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    state: State

    def do_GET(self):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")

    def do_PATCH(self):
        self.answer("PATCH")

    def do_DELETE(self):
        self.answer("DELETE")

    do_PUT = do_DELETE

    def log_message(self, *_):
        pass

    def answer(self, method: str) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        if (
            self.headers.get("Authorization") != f"token {TOKEN}"
            and self.headers.get("Authorization") != f"Bearer {TOKEN}"
        ):
            return self.reply(401, {"message": "Bad credentials"})
        if self.state.refuse:
            return self.reply(self.state.refuse, {"message": "Resource not accessible by integration"})
        prefix = f"/repos/{REPOSITORY}/"
        if not url.path.startswith(prefix):
            return self.violation(f"{method} {self.path}")
        parts = url.path.removeprefix(prefix).split("/")
        query = dict(parse_qsl(url.query))
        if method != "GET":
            self.state.writes.append((method, url.path.removeprefix(prefix)))
        before = ["", *parts[:-1]]
        known = ["USER" if last == "collaborators" else one for last, one in zip(before, parts, strict=True)]
        name = "_".join("N" if one.isdigit() else one for one in known)
        handler = getattr(self, f"{method.lower()}_{name}", None)
        if handler is None:
            return self.violation(f"{method} {self.path}")
        return handler([int(one) for one in parts if one.isdigit()], query, body)

    def violation(self, what: str) -> None:
        self.state.violations.append(what)
        self.reply(422, {"message": f"unexpected: {what}"})

    def reply(self, status: int, value: object) -> None:
        held = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(held)))
        self.end_headers()
        self.wfile.write(held)

    def url(self, path: str) -> str:
        return f"{self.state.address}/repos/{REPOSITORY}/{path}"

    def pages(self, values: list, query: dict) -> None:
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        self.reply(200, values[(page - 1) * size : page * size])

    def get_pulls(self, _, query, __):
        if set(query) - {"per_page", "page"} != {"state", "sort", "direction"} or query["state"] != "open":
            return self.violation(self.path)
        pulls = [{"number": number, "head": {"sha": sha}} for number, sha in self.state.pulls.items()]
        return self.pages(pulls, query)

    def get_collaborators_USER_permission(self, _, __, ___):
        name = self.path.split("/")[-2]
        self.reply(200, {"permission": "write", "role_name": self.state.roles.get(name, "none"), "user": PERSON})

    def get_environments_benchmark(self, _, __, ___):
        if self.state.reviewers is None:
            return self.reply(404, {"message": "Not Found"})
        people = [{"type": "User", "reviewer": {"login": name, "type": "User"}} for name in self.state.reviewers]
        rules = [{"id": 1, "type": "branch_policy"}, {"id": 2, "type": "required_reviewers", "reviewers": people}]
        return self.reply(200, {"id": 1, "name": "benchmark", "protection_rules": rules})

    def get_issues_N(self, numbers, _, __):
        (number,) = numbers
        held = next((one for one in self.state.issues if one["number"] == number), None)
        if held is None and number not in self.state.pulls:
            return self.reply(404, {"message": "Not Found"})
        return self.reply(200, held or {"number": number, "url": self.url(f"issues/{number}")})

    def get_issues_N_comments(self, numbers, query, _):
        return self.pages(self.state.comments.get(numbers[0], []), query)

    def post_issues_N_comments(self, numbers, _, body):
        if set(body) != {"body"}:
            return self.violation(f"fields {sorted(body)}")
        comment = self.comment(body["body"], BOT)
        self.state.comments.setdefault(numbers[0], []).append(comment)
        return self.reply(201, comment)

    def comment(self, body: str, user: dict) -> dict:
        number = sum(map(len, self.state.comments.values())) + 1
        return {"id": number, "body": body, "user": user, "url": self.url(f"issues/comments/{number}")}

    def patch_issues_comments_N(self, numbers, _, body):
        comments = [one for held in self.state.comments.values() for one in held]
        found = next((one for one in comments if one["id"] == numbers[0]), None)
        if set(body) != {"body"} or found is None or found["user"] != BOT:
            return self.violation(f"edit of {found} with {sorted(body)}")
        found["body"] = body["body"]
        return self.reply(200, found)

    def get_issues(self, _, query, __):
        if set(query) - {"per_page", "page"} != {"state", "labels"}:
            return self.violation(self.path)
        found = [one for one in self.state.issues if query["labels"] in [label["name"] for label in one["labels"]]]
        return self.pages(found, query)

    def post_issues(self, _, __, body):
        if set(body) != {"title", "body", "labels"}:
            return self.violation(f"fields {sorted(body)}")
        number = 100 + len(self.state.issues)
        labels = [{"name": name} for name in body["labels"]]
        issue = {**body, "labels": labels, "number": number, "state": "open", "user": BOT}
        self.state.issues.append(issue | {"url": self.url(f"issues/{number}"), "comments": 0})
        return self.reply(201, self.state.issues[-1])

    def patch_issues_N(self, numbers, _, body):
        found = next((one for one in self.state.issues if one["number"] == numbers[0]), None)
        if found is None or set(body) - {"body", "state"}:
            return self.violation(f"edit of {numbers} with {sorted(body)}")
        found.update(body)
        return self.reply(200, found)


@contextmanager
def serving() -> Iterator[State]:
    """A server for as long as the block runs; at its end nothing unexpected may have been asked."""
    state = State()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert state.violations == []
