"""The claims page and README show what `lossimpl claims` stored."""

from pathlib import Path

from lossimpl import claims as all_claims
from lossimpl.claims.support.verdict import VERDICTS
from reports.record.lists import CLAIMS, listed
from reports.site.pages import claims
from reports.site.readme import CLAIMS_END, CLAIMS_START

README = Path(__file__).parents[2] / "README.md"


def test_the_stored_claims_are_those_of_the_package() -> None:
    """Each claim is stored as it is stated now, with its criteria."""
    found, problems = listed(CLAIMS)
    assert not problems
    assert [one["claim"] for one in found] == all_claims.names()
    for one in found:
        claim = all_claims.get(one["claim"])
        assert one["statement"] == claim.statement
        assert [finding["criterion"] for finding in one["findings"]] == list(claim.criteria)
        assert one["verdict"] in VERDICTS
        assert one["seed"] > 0, "the criteria were settled on seed 0"


def test_readme_has_the_stored_verdicts() -> None:
    """README's part is what `python -m reports readme` writes from docs/claims.jsonl."""
    written = README.read_text().split(CLAIMS_START)[1].split(CLAIMS_END)[0].strip()
    assert written == "\n\n".join(claims.markdown(listed(CLAIMS)[0]))


def test_a_claim_is_shown_with_statement_verdict_code_and_command(site: Path) -> None:
    """And the numbers of its figure lie beside the page."""
    page = (site / "claims.html").read_text()
    for one in listed(CLAIMS)[0]:
        assert f"lossimpl claims {one['claim']} --seed {one['seed']}" in page
        assert (site / "data" / f"claim-{one['claim']}.csv").read_text().startswith("series,x,y,low,high\n")
    assert page.count("<svg") == page.count("CLAIM = Claim(") == len(all_claims.names())
