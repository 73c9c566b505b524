"""`python -m reports site`: a static site from results/ that opens from its folder, without a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from asv import util
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from lossimpl import wording
from lossimpl.spec import Loss
from reports.record.archive import Archive
from reports.record.stored import Stored
from reports.site import cells
from reports.site.feed import FILE as FEED
from reports.site.feed import feed
from reports.site.figures.style import themes
from reports.site.material import Material, gather, of
from reports.site.pages import (
    agreement,
    ceilings,
    claims,
    compatibility,
    conformance,
    environment,
    gate,
    health,
    history,
    index,
    loading,
    loss,
    native,
    problems,
    reproducibility,
)

TEMPLATES = Path(__file__).parent / "templates"
ROOT = Path(__file__).parents[2]
SCRIPTS = ("table.js", "age.js")
ASV = "asv"  # the folder of asv's own pages
BUILDERS = (
    index,
    loss,
    native,
    ceilings,
    agreement,
    conformance,
    compatibility,
    claims,
    loading,
    history,
    health,
    reproducibility,
    environment,
    gate,
    problems,
)
NAVIGATION = (
    ("index.html", "Overview"),
    ("native.html", "Native"),
    ("ceilings.html", "Ceilings"),
    ("agreement.html", "Agreement"),
    ("conformance.html", "Conformance"),
    ("compatibility.html", "Compatibility"),
    ("claims.html", "Claims"),
    ("loading.html", "Loading"),
    ("history.html", "History"),
    ("nights.html", "Nights"),
    ("reproducibility.html", "Reproducibility"),
    ("environment.html", "Environment"),
    ("gate-self-test.html", "Gate"),
    ("data-problems.html", "Data problems"),
)


def site(
    results: Annotated[Path, typer.Option(help="asv's results folder, with our side-cars.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="Folder to write; the site it holds is replaced.")] = Path("site"),
    archive: Annotated[str, typer.Option(help="Build from this archive alone: a folder, or s3://bucket/path.")] = "",
    asv: Annotated[
        bool, typer.Option("--asv", help="Also build asv's own pages (`asv publish`) and link them.")
    ] = False,
) -> None:
    """Build the static site from stored results and print its path."""
    material = of(Stored(Archive(archive))) if archive else gather(results)
    first = build(material, out, asv)
    if asv:
        published(results, out / ASV)
    for problem in material.problems:
        typer.echo(f"not read: {problem}", err=True)
    typer.echo(f"site: {first.resolve()}")


def build(material: Material, out: Path, asv: bool = False) -> Path:
    """Write every page of `material` under `out` and return the index; a file that has not changed is not touched.

    With `asv` the pages link asv's own in the folder `ASV`.
    """
    _require_site(out)
    templates = _templates(material.losses)
    templates.globals.update(asv=asv)
    files = {name: (TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS} | {"style.css": _style()}
    files[FEED] = feed(material.results.nights, material.results.commits["date"])
    written = {_put(out, *one) for one in files.items()}
    pages = [page for builder in BUILDERS for page in builder.pages(material)]  # figures are drawn meanwhile
    for page in pages:
        text = templates.get_template(page.template).render(page=page, title=page.title, **page.values)
        written |= {_put(out, *one) for one in {page.name: text, **page.files}.items()}
    _remove_others(out, written)
    return out / "index.html"


def published(results: Path, out: Path) -> None:
    """Build asv's own pages of a results folder into `out`."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=ROOT, prefix=".asv-publish-") as conf:
        held = util.load_json(str(ROOT / "asv.conf.json"), js_comments=True)
        json.dump(held | {"results_dir": str(results.absolute())}, conf)
        conf.flush()
        command = [sys.executable, "-m", "asv", "publish", "--config", conf.name, "--html-dir", str(out.absolute())]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        typer.echo("\n".join(["asv publish failed:", *(done.stdout + done.stderr).splitlines()[-5:]]), err=True)
        raise typer.Exit(1)


def _require_site(out: Path) -> None:
    """Refuse a folder that holds neither a site nor nothing."""
    if out.exists() and any(out.iterdir()) and not (out / "style.css").exists():
        raise typer.BadParameter(f"{out} is not empty and holds no site; choose an empty folder", param_hint="--out")


def _put(out: Path, name: str, content: str) -> Path:
    """Write a file unless it has this content already; return its path."""
    path, held = out / name, content.encode()
    if not path.is_file() or path.read_bytes() != held:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)
    return path


def _remove_others(out: Path, written: set[Path]) -> None:
    """Remove the pages of an earlier site that this one does not have."""
    for path in [*out.rglob("*")]:
        if path.is_file() and path not in written:
            path.unlink()


def _templates(losses: Mapping[str, Loss]) -> Environment:
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(mathematics=mathematics, breakable=cells.breakable, quoted=cells.quoted, row=cells.row)
    templates.globals.update(
        navigation=NAVIGATION,
        w=wording,
        losses=list(losses),
        chip=cells.chip,
        bar=cells.bar,
    )
    return templates


def mathematics(formula: str) -> Markup:
    """A formula in plain text as HTML: one line per part, `_y` as subscript and `^γ` as superscript.

    >>> str(mathematics("−w_y p^γ;  p < 1"))
    '−w<sub>y</sub> p<sup>γ</sup><br>p &lt; 1'
    """
    text = "<br>".join(str(escape(part.strip())) for part in formula.split(";  "))
    text = re.sub(r"_([^\W_])(?!\w)", r"<sub>\1</sub>", text)
    return Markup(re.sub(r"\^(\w)", r"<sup>\1</sup>", text))


def _style() -> str:
    return themes() + (TEMPLATES / "style.css").read_text(encoding="utf-8")
