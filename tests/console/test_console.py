"""What a person sees and does in the console, in a real browser."""

import re
from typing import Literal

from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import AXE, LONG, PATIENCE, Site

PAGES = {
    "/": "Overview",
    "/?view=map": "Overview",
    "/incidents": "Incidents",
    "/approvals": "Approvals",
    "/chat": "Chat",
    "/fixes": "Fix history",
    "/alerts": "Alerts",
    "/map": "Map",
    "/runbooks": "Runbooks",
    "/tools": "Tools",
    "/tools?tool=redis_set_maxmemory": "Tools",
    "/settings": "Settings",
    "/resources/cache": "cache",
}
WIDTH = """async () => {
    const wide = () => document.documentElement.scrollWidth;
    for (let frame = 0; frame < 300 && wide() > 375; frame++) await new Promise(requestAnimationFrame);
    return wide();
}"""
"""Charts take a moment to follow the page."""
GO = "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')); }"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("dark", "light")
LOOK = """async (rules) => {
    const runOnly = rules && {type: 'rule', values: rules};
    const alike = ['tbody tr', 'details.card', '.story li', 'section.card > div'];
    const exclude = alike.map(one => [`${one}:nth-child(n+8)`]);
    const options = {resultTypes: ['violations'], ...(runOnly && {runOnly})};
    const {violations} = await axe.run({include: [document], exclude}, options);
    return violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).slice(0, 3).join(' '));
}"""
"""Of long lists the first seven: the rest are like them."""
COLOURS = ["color-contrast", "link-in-text-block"]
"""What axe finds that may differ between the schemes."""
NAMES = ["link-name", "button-name", "scrollable-region-focusable"]
"""And between widths: letters go where there is no room for them."""


def row(page: Page, name: str):
    return page.locator(".row", has=page.get_by_role("link", name=name, exact=True))


def press(page: Page, name: str) -> None:
    """A button that says in a dialog what it will do, and the same in the dialog."""
    page.get_by_role("main").get_by_role("button", name=name, exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def without_stumbling(page: Page) -> list[str]:
    """What axe finds in both colour schemes."""
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE.read_text())
    found: list[str] = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.locator(f"html[data-mantine-color-scheme={scheme}]").wait_for()
        rules = COLOURS if scheme == "light" else None
        found += [f"{scheme}: {one}" for one in page.evaluate(LOOK, rules)]
    return found


def test_one_glance_tells_how_everything_is(page: Page) -> None:
    page.goto("/")

    expect(page.get_by_text("All 2 healthy")).to_be_visible()
    for name in ("cache", "carts"):
        expect(row(page, name)).to_contain_text("Healthy")
        expect(row(page, name)).to_contain_text("used memory")
        expect(row(page, name).get_by_role("img")).to_have_count(1)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_a_deep_link_leads_there_and_back_goes_back(page: Page) -> None:
    page.goto("/?q=carts")
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("link", name="carts", exact=True).click()
    expect(page.get_by_role("heading", name="carts", level=1)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="carts", level=1)).to_be_visible()
    page.go_back()
    expect(page.locator(".row")).to_have_count(1)


def test_what_gets_full_is_seen_told_approved_and_seen_to_heal(site: Site, operator: Page) -> None:
    operator.goto("/")
    expect(row(operator, "cache")).to_contain_text("Healthy")

    site.fill("cache")

    expect(row(operator, "cache")).to_contain_text("Degraded")
    expect(operator.get_by_text("1 of 2 not healthy")).to_be_visible()
    row(operator, "cache").locator(".doing").click()
    expect(operator.get_by_role("heading", name="Waits for a person")).to_be_visible()
    for part in ("redis-memory-full", "redis_expire_cache_keys", "By hand:", "disruptive"):
        expect(operator.get_by_role("main")).to_contain_text(part)
    press(operator, "Approve")
    expect(operator.locator(".status-healed").first).to_be_visible()
    expect(operator.get_by_role("heading", name="Before and after")).to_be_visible()
    story = operator.get_by_role("list", name="Time line")
    for kind in ("alert.firing", "approval.requested", "fix.started", "fix.healed", "incident.closed"):
        expect(story).to_contain_text(kind)
    with operator.expect_download() as report:
        operator.get_by_role("button", name="Report").click()
    assert "redis_expire_cache_keys" in report.value.path().read_text()
    operator.goto("/")
    expect(operator.get_by_text("All 2 healthy")).to_be_visible()
    operator.goto("/fixes")
    expect(operator.get_by_role("region", name="Fixes", exact=True)).to_contain_text("redis_expire_cache_keys")


def test_what_happened_is_marked_on_the_charts_and_listed_where_it_changed(site: Site, operator: Page) -> None:
    operator.goto("/resources/cache")
    with site.redis["cache"].client() as client:
        client.config_set("maxmemory", "21mb")
    charts = operator.get_by_role("region", name="Readings")
    expect(charts.get_by_role("img", name=re.compile("used memory.*1 alert.*fixing step"))).to_be_visible()
    expect(operator.get_by_role("list", name="What changed")).to_contain_text("maxmemory 20 MiB → 21 MiB")


def test_a_token_is_made_shown_once_and_taken_back(site: Site, operator: Page) -> None:
    operator.goto("/settings")
    operator.get_by_role("button", name="New token").click()
    operator.get_by_role("textbox", name="For whom").fill("ada")
    operator.get_by_role("button", name="Make it").click()
    shown = operator.get_by_role("dialog").locator("pre")
    made = shown.inner_text()
    assert made.startswith("wk_tok-")
    known = operator.request.get(f"{site.address}/api/me", headers={"Authorization": f"Bearer {made}"})
    assert known.json()["name"] == "ada"

    operator.get_by_role("button", name="I have it").click()
    expect(operator.get_by_text(made)).to_have_count(0)
    operator.get_by_role("button", name="Revoke the token of ada").click()
    operator.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
    expect(operator.get_by_role("region", name="Tokens")).to_contain_text("revoked by")
    refused = operator.request.get(f"{site.address}/api/me", headers={"Authorization": f"Bearer {made}"})
    assert refused.status == 401


def test_a_runbook_is_written_anew_checked_and_taken_back(operator: Page) -> None:
    operator.goto("/runbooks")
    operator.get_by_role("searchbox", name="Search runbooks").fill("data outgrew")
    operator.locator("summary", has_text="memory-full").first.click()
    operator.get_by_role("button", name="Edit", exact=True).click()
    text = operator.get_by_role("textbox", name="Text of memory-full")
    delivered = text.input_value()

    text.fill(delivered.replace("cause:", "causes:", 1))
    operator.get_by_role("button", name="Save").click()
    operator.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(operator.get_by_role("dialog").get_by_role("alert")).to_contain_text("causes")
    operator.get_by_role("dialog").get_by_role("button", name="Leave it").click()

    text.fill(delivered.rstrip() + "\n\nAsk Ada before midnight.\n")
    expect(operator.get_by_role("region", name="Diff of memory-full")).to_contain_text("+ Ask Ada before midnight.")
    press(operator, "Save")
    expect(operator.locator("summary", has_text="memory-full").first).to_contain_text("changed")
    press(operator, "As delivered")
    expect(operator.locator("summary", has_text="memory-full").first).not_to_contain_text("changed")
    expect(operator.get_by_role("main")).to_contain_text("went back to the page as it was delivered")


def test_without_a_language_model_the_chat_says_what_to_configure(page: Page) -> None:
    page.goto("/")
    expect(row(page, "cache")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Chat", level=1)).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("llm: {}")


def test_what_is_rejected_is_not_done_and_goes_to_a_person(site: Site, operator: Page) -> None:
    site.fill("carts")
    operator.goto("/approvals")
    expect(operator.get_by_text(re.compile("redis_expire_cache_keys on carts")).first).to_be_visible()

    press(operator, "Reject")

    operator.goto("/")
    with site.redis["carts"].client() as client:
        assert client.dbsize() > 0
    site.empty("carts")
    expect(operator.get_by_text("All 2 healthy")).to_be_visible()


def test_the_switch_in_the_header_stops_all_action(site: Site, operator: Page) -> None:
    operator.goto("/")
    for name, paused in (("Pause", True), ("Resume", False)):
        operator.get_by_role("banner").get_by_role("button", name=name, exact=True).click()
        operator.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()
        expect(operator.get_by_role("dialog")).to_have_count(0)
        with site.up.client as client:
            assert bool(client.get("/api/resources/status")["paused"]) is paused
        assert without_stumbling(operator) == []


def test_who_only_looks_is_asked_for_a_token_before_anything_is_changed(site: Site, page: Page) -> None:
    page.goto("/settings")
    page.get_by_role("button", name="Set observe").click()
    page.get_by_role("textbox", name="Token").fill("no such token")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_text("The token is not known")).to_be_visible()
    page.get_by_role("textbox", name="Token").fill(site.token)
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Set observe")).to_be_visible()


def test_a_tool_is_called_with_the_keyboard_alone(operator: Page) -> None:
    operator.goto("/")
    expect(row(operator, "cache")).to_be_visible()
    operator.keyboard.press("Control+k")
    expect(operator.get_by_placeholder("A resource, an incident, a page")).to_be_focused()
    assert without_stumbling(operator) == []
    operator.keyboard.type("Tools")
    expect(operator.locator("[data-selected]").filter(has_text="Tools")).to_be_visible()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("heading", name="Tools", level=1)).to_be_visible()
    operator.keyboard.press("/")
    operator.keyboard.type("redis_info")
    operator.get_by_role("link", name="redis_info").focus()
    operator.keyboard.press("Enter")
    look = operator.get_by_role("button", name="Look", exact=True)
    look.focus()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("dialog").get_by_role("button", name="Look")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("status", name="Result")).to_contain_text("done")


def test_a_lost_connection_is_shown_and_resumed(site: Site, browser: Browser) -> None:
    context = browser.new_context(base_url=site.address)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()

    context.set_offline(True)
    expect(page.get_by_text("Connection lost, trying again")).to_be_visible()
    with site.up.client as client:
        client.post("/api/pause")
    context.set_offline(False)

    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_role("banner").get_by_role("button", name="Resume", exact=True)).to_be_visible()
    with site.up.client as client:
        client.post("/api/resume")
    expect(page.get_by_role("banner").get_by_role("button", name="Pause", exact=True)).to_be_visible()
    context.close()


def test_nobody_stumbles_on_any_page_and_at_375_pixels_nothing_is_wider_than_it(site: Site, operator: Page) -> None:
    with site.up.client as client:
        newest = client.get("/api/incidents?limit=1")["items"][0]
    found: dict[str, list[str]] = {}
    operator.goto("/settings")
    for path, name in (PAGES | {f"/incidents/{newest['id']}": newest["title"]}).items():
        operator.evaluate(GO, path)
        operator.get_by_role("heading", name=name, level=1, exact=True).wait_for(timeout=PATIENCE)
        expect(operator.locator("[aria-busy=true]")).to_have_count(0)
        if wrong := without_stumbling(operator):
            found[path] = wrong
        operator.set_viewport_size({"width": 375, "height": 740})
        if (wide := operator.evaluate(WIDTH)) > 375:
            found[path] = [*wrong, f"{wide} pixels wide"]
        if nameless := operator.evaluate(LOOK, NAMES):
            found[path] = [*found.get(path, []), *nameless]
        operator.set_viewport_size({"width": 1280, "height": 720})
    assert not found


def test_lists_and_stories_go_back_to_their_beginning_and_say_what_they_leave_out(page: Page) -> None:
    page.goto("/incidents")
    listed = page.get_by_role("region", name="Incidents")
    expect(page.get_by_text("The newest 100 incidents.")).to_be_visible()
    expect(listed.get_by_role("link", name="old fault 0", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Older ones").click()
    expect(page.get_by_text(re.compile(r"All 12\d incidents\."))).to_be_visible()
    listed.get_by_role("link", name="old fault 0", exact=True).click()

    story = page.get_by_role("list", name="Time line")
    expect(story).to_contain_text(f"moment {LONG - 1}")
    expect(story).to_contain_text("moment 0 ")
    expect(story).not_to_contain_text("moment 300 ")
    story.get_by_role("button", name="Show it").click()
    expect(story).to_contain_text("moment 300 ")
    expect(story.get_by_text("More happened between.")).to_have_count(0)
    assert story.get_by_role("listitem").count() == LONG


def test_what_a_browser_may_do_with_the_page_is_said_and_files_are_kept(site: Site, page: Page) -> None:
    answer = page.goto("/resources/cache")
    assert answer is not None
    policy = answer.header_value("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    source = re.findall(r'src="(/assets/[^"]+\.js)"', answer.text())[0]
    file = page.request.get(site.address + source)
    assert "immutable" in file.headers["cache-control"]
    assert page.request.get(f"{site.address}/assets/nothing.js").status == 404
    lost = page.goto("/nothing-here")
    assert lost is not None
    assert lost.status == 404
    expect(page.get_by_role("heading", name="There is no such page", level=1)).to_be_visible()
    page.goto("/incidents/inc-none")
    expect(page.get_by_role("heading", name="Incident inc-none", level=1)).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("There is no incident inc-none")
    assert without_stumbling(page) == []
    page.go_back()
    page.get_by_role("main").get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
