"""`python -m reports site`: a static site from results/ that opens from its folder, without a network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from lossimpl import wording
from lossimpl.spec import Loss
from reports.site.figures.style import GLYPHS, css_name, look, themes
from reports.site.material import Material, gather
from reports.site.pages import (
    agreement,
    ceilings,
    compatibility,
    conformance,
    environment,
    gate,
    history,
    index,
    loading,
    loss,
    native,
    reproducibility,
)
from reports.site.view import Page

TEMPLATES = Path(__file__).parent / "templates"
BUILDERS = (
    index, loss, native, ceilings, agreement, conformance, compatibility, loading, history, reproducibility,
    environment, gate,
)  # fmt: skip
NAVIGATION = (
    ("index.html", "Overview"),
    ("native.html", "Native"),
    ("ceilings.html", "Ceilings"),
    ("agreement.html", "Agreement"),
    ("conformance.html", "Conformance"),
    ("compatibility.html", "Compatibility"),
    ("loading.html", "Loading"),
    ("history.html", "History"),
    ("reproducibility.html", "Reproducibility"),
    ("environment.html", "Environment"),
    ("gate-self-test.html", "Gate"),
)


def site(
    results: Annotated[Path, typer.Option(help="asv's results folder, with our side-cars.")] = Path("results"),
    out: Annotated[Path, typer.Option(help="Folder to write; the site it holds is replaced.")] = Path("site"),
) -> None:
    """Build the static site from stored results and print its path."""
    material = gather(results)
    first = build(material, out)
    for problem in material.results.problems:
        typer.echo(f"not read: {problem}", err=True)
    typer.echo(f"site: {first.resolve()}")


def build(material: Material, out: Path) -> Path:
    """Write every page of `material` under `out` and return the index."""
    _clear(out)
    shutil.copy(TEMPLATES / "table.js", out / "table.js")
    (out / "style.css").write_text(_style(), encoding="utf-8")
    templates = _templates(material.losses)
    for builder in BUILDERS:
        for page in builder.pages(material):
            _write(page, templates, out)
    return out / "index.html"


def _clear(out: Path) -> None:
    """Empty the folder, if it holds a site or nothing; a folder with other contents is refused."""
    if out.exists() and any(out.iterdir()) and not (out / "index.html").exists():
        raise typer.BadParameter(f"{out} is not empty and holds no site; choose an empty folder", param_hint="--out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def _write(page: Page, templates: Environment, out: Path) -> None:
    text = templates.get_template(page.template).render(page=page, title=page.title, **page.values)
    (out / page.name).write_text(text, encoding="utf-8")
    for name, content in page.files.items():
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")


def _templates(losses: Mapping[str, Loss]) -> Environment:
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(mathematics=mathematics, breakable=breakable, quoted=quoted)
    templates.globals.update(
        navigation=NAVIGATION,
        w=wording,
        losses=list(losses),
        css_name=css_name,
        glyph=lambda name: GLYPHS[look(name)[1]],
    )
    return templates


def breakable(name: str) -> Markup:
    """A name that may break after an underscore.

    >>> str(breakable("mse_loss"))
    'mse_<wbr>loss'
    """
    return escape(name).replace("_", Markup("_<wbr>"))


def quoted(text: str) -> Markup:
    """Text in which words between backticks are shown as code.

    >>> str(quoted("raise `ulimit -n`"))
    'raise <code>ulimit -n</code>'
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


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
