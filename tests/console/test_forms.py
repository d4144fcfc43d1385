"""What people fill in and decide in the console, by keyboard alone; heard by who does not see; nobody stumbles."""

import re

from playwright.sync_api import Page, Route, expect

from tests.console.conftest import Site
from tests.console.test_console import press, row, without_stumbling

MIB = 1 << 20
FOCUSED = """() => {
    const {textContent, placeholder} = document.activeElement;
    return [document.activeElement.getAttribute('aria-label'), textContent, placeholder];
}"""


def tab_to(page: Page, name: str) -> None:
    """With the Tab key alone."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if name in page.evaluate(FOCUSED):
            return
    raise AssertionError(f"the Tab key does not lead to {name}")


def choose(page: Page, wanted: str) -> None:
    """With the arrow keys, of the list that is open."""
    expect(page.locator("[role=option]:visible").filter(has_text=wanted)).to_be_visible()
    at = page.locator("[role=option][data-combobox-selected]:visible")
    for _ in range(5):
        before = at.inner_text() if at.count() else "nothing yet"
        page.keyboard.press("ArrowDown")
        expect(at).not_to_have_text(before)
        if wanted in at.inner_text():
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"the arrow keys do not lead to {wanted}")


def test_what_gets_full_is_heard_of_and_approved_by_keyboard_alone(site: Site, operator: Page) -> None:
    operator.goto("/")
    expect(row(operator, "cache")).to_contain_text("Healthy")
    operator.keyboard.press("?")
    expect(operator.get_by_role("dialog", name="Keyboard")).to_contain_text("Search for anything")
    assert without_stumbling(operator) == []
    operator.keyboard.press("Escape")
    expect(operator.get_by_role("dialog")).to_have_count(0)
    heard = operator.locator("[aria-live=polite]")
    expect(heard).to_have_text("")

    site.fill("cache")

    expect(heard).to_contain_text("cache")
    operator.keyboard.press("g")
    operator.keyboard.press("a")
    expect(operator.get_by_text("redis_expire_cache_keys on cache").first).to_be_visible()
    cost = re.compile(r"Cost: (not called here yet|usually .+ here\)), at most 1 min, 2 s more until it shows")
    expect(operator.get_by_text(cost)).to_be_visible()
    tab_to(operator, "Approve")
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("dialog").get_by_role("button", name="Approve")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("Nothing waits")).to_be_visible()
    operator.keyboard.press("g")
    operator.keyboard.press("i")
    expect(operator.locator(".status-healed").first).to_be_visible()
    tab_to(operator, "redis-memory-full on cache")
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("list", name="What redis_expire_cache_keys says").last).to_contain_text(
        re.compile(r"\d+ keys removed, memory at \d+% of maxmemory")
    )
    operator.go_back()
    expect(operator.get_by_role("heading", name="Incidents", level=1)).to_be_visible()


def test_policy_tells_what_becomes_looser_before_an_admin_sets_it(site: Site, operator: Page) -> None:
    operator.goto("/settings")
    policy = operator.get_by_role("region", name="Policy", exact=True)
    after_a_yes = "After a yes: changes that can be set back, interruptions that lose no data but declared caches."
    expect(policy).to_contain_text(after_a_yes)
    policy.get_by_role("button", name="Change policy").click()
    operator.get_by_role("combobox", name="production, reversible").focus()
    operator.keyboard.press("Enter")
    choose(operator, "allow")
    told = operator.get_by_role("status", name="What would change")
    expect(told).to_contain_text("production/reversible: ask → allow")
    expect(told).to_contain_text("production/reversible would be allow, the configuration says ask")
    assert without_stumbling(operator) == []
    with site.up.client as client:
        assert client.get("/api/policy")["changed"] is None

    policy.get_by_role("button", name="Set it, though it is looser").click()
    dialog = operator.get_by_role("dialog")
    expect(dialog).to_contain_text("More permissive than the configuration")
    expect(dialog.get_by_role("button", name="Set it, though it is looser")).to_be_disabled()
    dialog.get_by_role("textbox", name="Why (needed)").fill("the migration")
    dialog.get_by_role("button", name="Set it, though it is looser").click()
    expect(policy).to_contain_text("Looser than the configuration: production/reversible would be allow")
    expect(policy).to_contain_text("the migration")
    with site.up.client as client:
        assert client.get("/api/policy")["table"]["production"]["reversible"] == "allow"
    press(operator, "As configured")
    expect(policy).to_contain_text("As configured; it was changed before")
    with site.up.client as client:
        assert client.get("/api/policy")["changed"] is None


def test_what_a_person_healed_by_hand_is_reviewed_as_a_diff_and_becomes_a_runbook(site: Site, operator: Page) -> None:
    site.fill("carts")
    operator.goto("/approvals")
    expect(operator.get_by_text("redis_expire_cache_keys on carts").first).to_be_visible()
    body = {"resource": "carts", "arguments": {"value": 64 * MIB}}
    bearer = {"Authorization": f"Bearer {site.token}"}
    answer = operator.request.post(f"{site.address}/api/mcp/tools/redis_set_maxmemory", data=body, headers=bearer)
    assert answer.ok, answer.text()
    expect(operator.get_by_text("Nothing waits")).to_be_visible()

    operator.goto("/runbooks")
    draft = operator.get_by_role("region", name="Drafts").locator("section").first
    expect(draft).to_contain_text("Learned")
    diff = draft.get_by_role("region", name=re.compile("^Diff of"))
    expect(diff).to_contain_text("redis_set_maxmemory")
    assert re.search(r"^\+ ", diff.inner_text(), re.MULTILINE)
    draft.get_by_role("switch", name="Improve it first").click()
    text = draft.get_by_role("textbox", name=re.compile("^Text of"))
    text.fill(text.input_value().rstrip() + "\n\nAsk Ada first.\n")
    expect(diff).to_contain_text("+ Ask Ada first.")
    assert without_stumbling(operator) == []
    draft.get_by_role("button", name="Accept").click()
    operator.get_by_role("dialog").get_by_role("button", name="Accept").click()
    expect(operator.get_by_role("region", name="Drafts")).to_have_count(0)
    learned = operator.locator("summary", has_text="learned").first
    learned.click()
    expect(operator.get_by_role("main")).to_contain_text("Ask Ada first.")
    site.empty("carts")


def test_a_rule_that_was_changed_says_so_with_who_and_what_it_was(site: Site, operator: Page) -> None:
    bearer = {"Authorization": f"Bearer {site.token}"}
    body = {"threshold": 0.9, "note": "earlier, please"}
    answer = operator.request.put(f"{site.address}/api/rules/redis-memory-full", data=body, headers=bearer)
    assert answer.ok, answer.text()
    operator.goto("/alerts")
    changed = operator.get_by_role("region", name="Changed rules")
    expect(changed).to_contain_text("earlier, please")
    expect(changed).to_contain_text("redis-memory-full")
    assert without_stumbling(operator) == []
    changed.get_by_role("button", name="redis-memory-full as configured").click()
    operator.get_by_role("dialog").get_by_role("button", name="As configured").click()
    expect(changed).to_have_count(0)


def test_what_it_would_have_done_is_listed_with_policy_and_what_then_happened(site: Site, operator: Page) -> None:
    bearer = {"Authorization": f"Bearer {site.token}"}
    operator.request.put(f"{site.address}/api/mode", data={"mode": "observe"}, headers=bearer)
    site.fill("cache")
    operator.goto("/fixes")
    listed = operator.get_by_role("region", name="Plans that were not carried out")
    expect(listed).to_contain_text("it is not well yet")
    expect(listed).to_contain_text("would have allowed it")
    site.empty("cache")
    expect(listed).to_contain_text(re.compile("it recovered meanwhile|people did something else"))
    expect(listed.get_by_role("link", name="redis_expire_cache_keys").first).to_be_visible()
    assert without_stumbling(operator) == []
    operator.request.delete(f"{site.address}/api/mode", headers=bearer)


def test_runbooks_are_edited_and_tokens_made_by_keyboard_and_nobody_stumbles_there(operator: Page) -> None:
    operator.goto("/runbooks")
    expect(operator.locator("summary", has_text="memory-full").first).to_be_visible()
    operator.keyboard.press("/")
    operator.keyboard.type("data outgrew")
    operator.locator("summary", has_text="memory-full").first.focus()
    operator.keyboard.press("Enter")
    tab_to(operator, "Edit")
    operator.keyboard.press("Enter")
    text = operator.get_by_role("textbox", name="Text of memory-full")
    text.focus()
    operator.keyboard.press("Control+End")
    operator.keyboard.type("\nAsk Ada.")
    expect(operator.get_by_role("region", name="Diff of memory-full")).to_contain_text("+ Ask Ada.")
    assert without_stumbling(operator) == []
    tab_to(operator, "Leave it")
    operator.keyboard.press("Enter")

    operator.goto("/settings")
    expect(operator.get_by_role("button", name="New token")).to_be_visible()
    tab_to(operator, "New token")
    operator.keyboard.press("Enter")
    dialog = operator.get_by_role("dialog", name="New token")
    expect(dialog.get_by_role("textbox", name="For whom")).to_be_focused()
    assert without_stumbling(operator) == []
    operator.keyboard.type("bob")
    operator.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Copy it")).to_be_focused()
    assert without_stumbling(operator) == []
    operator.keyboard.press("Escape")
    expect(operator.get_by_role("region", name="Tokens")).to_contain_text("bob")
    expect(operator.get_by_role("button", name="New token")).to_be_focused()


def test_a_wrong_token_is_refused_with_a_word_and_can_be_corrected(site: Site, page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{site.up.data}/token")
    dialog.get_by_role("textbox", name="Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("The token is not known")
    assert without_stumbling(page) == []
    dialog.get_by_role("textbox", name="Token").fill(site.token)
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Sign in")).to_have_count(0)


def test_an_incident_is_taken_over_handed_on_tried_again_and_ended_from_its_page(site: Site, operator: Page) -> None:
    site.fill("cache")
    operator.goto("/")
    row(operator, "cache").locator(".doing").click()
    stands = operator.locator("main .status").first
    expect(stands).to_have_text("waits for approval")
    press(operator, "Acknowledge")
    expect(operator.get_by_text("root looks after it").first).to_be_visible()
    assert without_stumbling(operator) == []
    press(operator, "Stop")
    expect(stands).to_have_text("handed to a person")
    press(operator, "Retry")
    expect(stands).to_have_text("waits for approval")
    press(operator, "Escalate")
    expect(stands).to_have_text("handed to a person")
    press(operator, "Retry")
    expect(stands).to_have_text("waits for approval")
    site.empty("cache")
    operator.get_by_role("main").get_by_role("button", name="Close", exact=True).click()
    dialog = operator.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Close", exact=True).last).to_be_disabled()
    dialog.get_by_role("textbox", name="Why (needed)").fill("emptied by hand")
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    expect(stands).to_have_text(re.compile("ended by a person|recovered, not by Watchkeeper"))


def test_a_fix_is_taken_back_from_its_incident_and_what_it_gave_is_told_in_units(site: Site, operator: Page) -> None:
    bearer = {"Authorization": f"Bearer {site.token}"}
    path = f"{site.address}/api/runbooks"
    known = operator.request.get(path).json()["items"]
    delivered = next(one for one in known if (one["kind"], one["name"]) == ("redis", "memory-full"))
    ladder = f"ladder:\n  - [{{tool: redis_set_maxmemory, with: {{value: {48 * MIB}}}}}]\nhealed:"
    text = re.sub(r"ladder:.*?^healed:", ladder, delivered["text"], count=1, flags=re.MULTILINE | re.DOTALL)
    body = {"text": text, "kind": "redis", "note": "no more than that"}
    answer = operator.request.put(
        f"{path}/memory-full", data=body, headers=bearer | {"If-Match": f'"{delivered["digest"]}"'}
    )
    assert answer.ok, answer.text()
    site.fill("cache")
    operator.goto("/")
    row(operator, "cache").locator(".doing").click()
    stands = operator.locator("main .status").first
    expect(stands).to_have_text("waits for approval")
    expect(operator.get_by_role("main")).to_contain_text("value = 48 MiB")
    press(operator, "Approve")
    expect(stands).to_have_text("healed")
    expect(operator.get_by_label("What it gave").last).to_contain_text("now48 MiB")
    since = operator.get_by_role("list", name="What changed since")
    expect(since).to_contain_text(re.compile("→ 48.* MiB, by fix-"))

    press(operator, "Undo")
    expect(operator.get_by_role("list", name="Time line")).to_contain_text("root took back redis_set_maxmemory")
    expect(operator.get_by_text("Taken back by root").first).to_be_visible()
    expect(since).to_contain_text(re.compile("48.* MiB → .*, by fix-"))
    with site.redis["cache"].client() as client:
        assert int(client.config_get("maxmemory")["maxmemory"] or 0) < 48 * MIB
    operator.request.delete(f"{path}/memory-full?kind=redis", headers=bearer)
    site.empty("cache")
    operator.goto("/")
    expect(operator.get_by_text("All 2 healthy")).to_be_visible()


def test_on_a_telephone_what_waits_comes_before_what_else_can_be_done_and_the_mode_is_told(
    site: Site, operator: Page
) -> None:
    operator.set_viewport_size({"width": 375, "height": 740})
    site.fill("cache")
    operator.goto("/")
    expect(operator.get_by_role("banner").get_by_text("approve", exact=True)).to_be_visible()
    row(operator, "cache").locator(".doing").click()
    expect(operator.get_by_role("heading", name="Waits for a person")).to_be_visible()
    stop = operator.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_hidden()
    operator.get_by_role("button", name="Other actions").click()
    expect(stop).to_be_visible()
    operator.go_back()
    site.empty("cache")
    expect(operator.get_by_text("All 2 healthy")).to_be_visible()


def test_however_many_wait_they_are_counted_and_shown_some_at_a_time(site: Site, operator: Page) -> None:
    """The one that really waits, forty-five times."""

    def many(route: Route) -> None:
        page = route.fetch().json()
        items = [one | {"id": f"{one['id']}-{number}"} for one in page["items"] for number in range(45)]
        route.fulfill(json={"items": items, "next": None})

    operator.route("**/api/approvals*", many)
    site.fill("cache")
    operator.goto("/approvals")
    expect(operator.get_by_label("45 waiting")).to_be_visible()
    expect(operator.get_by_text("The newest 20 of 45 that wait.")).to_be_visible()
    for shown in (40, 45):
        operator.get_by_role("button", name="Older ones").click()
        expect(operator.get_by_role("button", name="Approve")).to_have_count(shown)
    site.empty("cache")
    operator.unroute_all()
    expect(operator.get_by_text("Nothing waits")).to_be_visible()
