"""The documentation site, built as ``make docs`` does, in a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow_versions import only_airflow_3
from browser import open_browser, serve_folder
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(f"{os.environ['AIRFLOW_HOME']}-docs")

pytestmark = only_airflow_3  # The site documents the newest version.


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of the built site."""
    command = [sys.executable, "-W", "ignore", "-m", "sphinx", "--quiet", "--fail-on-warning", "--fresh-env"]
    subprocess.run([*command, "--doctree-dir", f"{SITE}-doctrees", "docs", SITE], cwd=ROOT, check=True)
    with serve_folder(SITE) as url:
        yield url


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with open_browser(viewport={"width": 1400, "height": 1000}) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext, url: str) -> Iterator[Page]:
    """The start page. At the end, fail if a request or a script failed."""
    problems: list[str] = []
    page = context.new_page()
    page.on("response", lambda response: problems.append(response.url) if response.status >= 400 else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    yield page
    page.close()
    assert problems == []


def read_navigation(page: Page) -> list[str]:
    """Return the URLs of the sidebar's links."""
    return page.locator(".sidebar-tree a.internal").evaluate_all("links => links.map(link => link.href)")


def test_navigation_reaches_each_page(page: Page, url: str) -> None:
    generated = {"genindex.html", "index.html", "py-modindex.html", "search.html"}
    pages = {path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "_modules" not in path.parts}
    assert {link.removeprefix(f"{url}/") for link in read_navigation(page)} == pages - generated


def test_pages_have_all_pictures(page: Page, url: str) -> None:
    shown = set()
    for link in [url, *read_navigation(page)]:
        page.goto(link)
        expect(page.locator("h1")).to_have_count(1)
        pictures = page.locator("article img").evaluate_all("all => all.map(each => [each.src, each.naturalWidth])")
        assert [source for source, width in pictures if not width] == []
        shown |= {source.rpartition("/")[2] for source, _ in pictures}
    assert shown >= {path.name for path in (ROOT / "docs" / "pictures").glob("*.png")}


@pytest.mark.parametrize(("words", "title"), [("lookback", "AngusToSqlOperator"), ("proxy", "Connection")])
def test_search_finds_a_page(page: Page, words: str, title: str) -> None:
    page.get_by_placeholder("Search").fill(words)
    page.get_by_placeholder("Search").press("Enter")
    expect(page.locator("#search-results")).to_contain_text(title)


def test_reference_links_to_the_source(page: Page, url: str) -> None:
    page.goto(f"{url}/reference/operators.html")
    expect(page.get_by_text("angus_conn_id").first).to_be_visible()
    page.locator(".viewcode-link").first.click()
    expect(page.locator("article")).to_contain_text("class AngusEntitiesOperator")
