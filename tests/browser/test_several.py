"""Several images, each with its own region, and questions that follow one another, on a model that takes both."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import Watch, ask_example, done, opened, png, result, running, upload
from tests.support.families import build
from tests.support.looks import images

FIRST, NEXT = "what is left of the dog?", "where is the red cat?"


@pytest.fixture(scope="module")
def tiled_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an app on a random LLaVA-NeXT: an overview of 16 tokens, tiles, several images, follow-ups."""
    folder = tmp_path_factory.mktemp("next")
    build("llava_next", folder / "model")
    with running({"CROP_MODEL": str(folder / "model")}, folder) as address:
        yield address


@pytest.fixture
def pair(tiled_app: str, browser: Browser, watch: Watch) -> Iterator[Page]:
    """The app on a model that takes several images, with two images given."""
    with opened(browser, tiled_app, watch) as page:
        upload(page, png(200, 100))
        expect(page.locator(".cx")).to_have_attribute("data-stage", "idle")
        add(page, png(120, 120, "#a35"))
        expect(thumbs(page)).to_have_count(2)
        yield page


def add(page: Page, *files: dict[str, object]) -> None:
    """Gives further images."""
    page.get_by_role("button", name="More images").click()
    page.locator("#more-files input[type=file]").set_input_files(list(files))  # type: ignore[arg-type]


def thumbs(page: Page) -> Locator:
    """The buttons that switch between images."""
    return page.locator(".cx-thumb")


def ask(page: Page, question: str = FIRST) -> None:
    """Types a question and waits for both answers."""
    page.locator("#question textarea").fill(question)
    page.locator("#run").click()
    expect(page.locator(".cx-question")).to_have_text(f"“{question}”")
    done(page)


def draw(page: Page, *keys: str) -> None:
    """Draws cells 2 to 5 both ways in the shown image, and changes them with keys."""
    page.get_by_role("button", name="Draw a region").click()
    for key in keys:
        page.locator(".cx-panel").nth(0).locator("canvas").press(key)
    page.get_by_role("button", name="Done drawing").click()


def test_each_image_has_its_region_and_the_figures_are_of_all(pair: Page) -> None:
    panel = pair.locator(".cx-panel").nth(0)
    thumbs(pair).nth(1).click()
    draw(pair, "ArrowLeft")
    expect(pair.locator("#more-regions textarea, #more-regions input")).to_have_value("2: 1 2 4 5")
    expect(pair.get_by_role("radio", name="Predicted")).to_be_checked()
    ask(pair)
    expect(panel).to_contain_text("Drawn by hand: columns 1–4, rows 2–5")
    comparison = result(pair)
    first, second = comparison.crop.traces
    assert (second.image_size, second.region.grid, second.region.source) == ((120, 120), (1, 2, 4, 5), "drawn")
    assert first.region.source == "predicted"
    tokens = pair.locator('.cx-readout[data-key="mean_tokens"]')
    expect(tokens).to_contain_text(str(first.visual_tokens + second.visual_tokens))
    expect(pair.locator(".cx-now").first).to_contain_text(f"of {second.visual_tokens} alive")
    thumbs(pair).nth(0).click()
    expect(panel).to_contain_text("Predicted by the localizer")
    expect(pair.locator(".cx-now").first).to_contain_text(f"of {first.visual_tokens} alive")
    pair.get_by_role("radio", name="Drawn").check()
    expect(panel).to_contain_text("columns 2–5, rows 2–5")
    pair.get_by_role("button", name="Run with this region").click()
    expect(pair.locator(".run-card")).to_have_count(2)
    again = result(pair)
    assert [trace.region.grid for trace in again.crop.traces] == [(2, 2, 5, 5), (1, 2, 4, 5)]
    assert pair.locator(".run-card").nth(0).locator(".run-map").count() == 2


def test_questions_follow_one_another_and_each_is_shown_again(pair: Page) -> None:
    expect(pair.locator("#follow")).to_be_hidden()
    ask(pair)
    answered = result(pair)
    pair.locator("#follow-question textarea").fill(NEXT)
    pair.locator("#follow-ask").click()
    expect(pair.locator(".cx-question")).to_have_text(f"“{NEXT}”")
    done(pair)
    turns = pair.locator(".thread .run-card")
    expect(turns).to_have_count(2)
    expect(pair.locator("#follow-question textarea")).to_have_value("")
    followed = result(pair)
    assert followed.history == [(FIRST, answered.baseline.text)]
    assert len(followed.crop.traces) == 2
    expect(pair.locator(".cx-notices")).to_contain_text("A follow-up")
    turns.nth(0).click()
    expect(pair.locator(".cx-question")).to_have_text(f"“{FIRST}”")
    expect(turns.nth(0)).to_have_attribute("aria-current", "true")
    expect(turns).to_have_count(2)
    turns.nth(1).click()
    expect(pair.locator(".cx-question")).to_have_text(f"“{NEXT}”")
    pair.get_by_role("radio", name="Drawn").check()
    pair.get_by_role("button", name="Run with this region").click()
    expect(pair.locator(".run-strip .run-card")).to_have_count(2)
    assert result(pair).history == followed.history, "the follow-up is asked again as one"
    upload(pair, png(90, 60))
    expect(pair.locator("#follow")).to_be_hidden()
    ask(pair)
    expect(pair.locator(".thread")).to_have_count(0)


def two_images(pair: Page) -> None:
    """Two images, before anything is asked, and what is folded about them."""


def drawn_in_the_second(pair: Page) -> None:
    """An answer about both images, with the region drawn in the second one, which is shown."""
    thumbs(pair).nth(1).click()
    draw(pair, "ArrowLeft")
    ask(pair)


def another_region(pair: Page) -> None:
    """Two runs of one question about both images."""
    drawn_in_the_second(pair)
    thumbs(pair).nth(0).click()
    pair.get_by_role("radio", name="Drawn").check()
    pair.get_by_role("button", name="Run with this region").click()
    expect(pair.locator(".run-card")).to_have_count(2)


def followed(pair: Page) -> None:
    """A question and two that follow it, with the place for a fourth."""
    ask(pair)
    for place, question in enumerate((NEXT, "and what is above it?")):
        pair.locator("#follow-question textarea").fill(question)
        pair.locator("#follow-ask").click()
        expect(pair.locator(".cx-question")).to_have_text(f"“{question}”")
        done(pair)
        expect(pair.locator(".thread .run-card")).to_have_count(place + 2)


def saved_of_two(pair: Page) -> None:
    """The figures of a run about two images."""
    drawn_in_the_second(pair)
    pair.get_by_text("Figures and downloads").click()
    pair.locator("#figure-image input").fill("2")
    pair.locator("#figure-image input").blur()
    expect(pair.locator("#save-figure")).to_be_enabled()


VIEWS = (two_images, drawn_in_the_second, another_region, followed, saved_of_two)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_a_view_of_two_images_is_readable_at_every_width_in_both_themes(
    pair: Page, view: Callable[[Page], None]
) -> None:
    view(pair)
    wrong = images(pair, f"several-{view.__name__}")
    assert wrong == [], "\n".join(wrong)


def test_the_bundled_model_says_what_it_has_no_room_for(page: Page) -> None:
    ask_example(page, 0)
    expect(page.locator("#follow-question, #follow-ask")).to_have_count(0)
    expect(page.locator("#follow")).to_contain_text("reads each question without earlier turns")
    expect(page.get_by_role("button", name="More images")).to_be_hidden()
    expect(page.locator("#more-note")).to_contain_text("two do not fit into this model's context")


def test_the_pictures_show_the_view_that_is_picked(tiled_app: str, browser: Browser, watch: Watch) -> None:
    """An overview and tiles, of which each picture shows one."""
    with opened(browser, tiled_app, watch) as page:
        upload(page, png(200, 100))
        page.locator("#question textarea").fill("what is left of the dog?")
        page.locator("#run").click()
        done(page)
        panel = page.locator(".cx-pruning")
        overview, tiles = panel.locator(".cx-views").first.locator("button").all()
        expect(overview).to_have_text("Overview, 16 tokens")
        expect(tiles).to_have_text("Tiles, 32 tokens")
        expect(tiles).to_have_attribute("aria-pressed", "true")
        before, caption = panel.locator("canvas").first.screenshot(), panel.locator(".cx-now").first.inner_text()
        assert "of 52 alive" in caption, "ends of rows are counted, and have no place"
        overview.click()
        expect(panel.locator(".cx-views button").first).to_have_attribute("aria-pressed", "true")
        assert panel.locator("canvas").first.screenshot() != before
        assert panel.locator(".cx-now").first.inner_text() == caption
