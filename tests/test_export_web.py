"""The exported page in a real browser: class and box as in Python, by keyboard, and with bad files."""

import json
import os
import re
import shutil
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import skimage
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import keras_cam
from keras_cam import localize_files
from keras_cam.export import save_web
from keras_cam.metrics import box_ious
from keras_cam.models.labels import imagenet_labels

PHOTOS = [f"{skimage.data_dir}/{name}" for name in ("chelsea.png", "coffee.png", "motorcycle_left.png")]
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def localizer():
    model = keras_cam.build_model("efficientnet_lite0", weights="imagenet")
    return keras_cam.build_localizer(model, refine="affinity")


@pytest.fixture(scope="module")
def site(localizer, tmp_path_factory):
    try:
        return save_web(localizer, tmp_path_factory.mktemp("web") / "site")
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def address(site):
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            """Stays silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(address):
    with page_in_chromium(address) as browser:
        yield browser


@contextmanager
def page_in_chromium(address, *more_arguments):
    if not (BROWSER and DRIVER):
        pytest.skip("there is no chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    arguments = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900")
    for argument in (*arguments, *more_arguments):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        browser.get(address)
        wait(browser).until(lambda _: status(browser) == "Ready.")
        yield browser
    finally:
        browser.quit()


def wait(browser):
    return WebDriverWait(browser, 60)


def status(browser):
    return browser.find_element(By.ID, "status").text


def open_file(browser, path):
    browser.execute_script("document.getElementById('status').textContent = ''")
    browser.find_element(By.ID, "file").send_keys(str(path))
    # The same photo may well take as many milliseconds as before.
    wait(browser).until(lambda _: status(browser) != "")


def shown_box(browser):
    return json.loads(browser.find_element(By.ID, "picture").get_attribute("data-box"))


@pytest.mark.parametrize("photo", PHOTOS, ids=os.path.basename)
def test_the_page_finds_what_python_finds(browser, localizer, photo):
    if not os.path.exists(photo):
        pytest.skip("this photo does not come with scikit-image")
    [record] = localize_files(localizer, [photo], imagenet_labels())
    best = record.detections[0]
    open_file(browser, photo)
    assert status(browser).startswith(f"{best.label}, ")
    top, left, bottom, right = shown_box(browser)
    found = [[left * record.width, top * record.height, right * record.width, bottom * record.height]]
    assert float(box_ious(found, [best.box_xyxy])[0, 0]) >= 0.95
    choices = browser.find_elements(By.CSS_SELECTOR, "#classes label")
    assert len(choices) == 5


def test_the_slider_and_the_classes_work_by_keyboard(browser):
    open_file(browser, PHOTOS[0])
    slider = browser.find_element(By.ID, "threshold")
    slider.send_keys(Keys.ARROW_RIGHT)
    slider.send_keys(Keys.ARROW_LEFT)
    at_start = shown_box(browser)
    areas = []
    for _ in range(4):
        slider.send_keys(Keys.ARROW_RIGHT)
        top, left, bottom, right = shown_box(browser)
        areas.append((bottom - top) * (right - left))
    assert browser.find_element(By.ID, "percent").text == "60 %"
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] < areas[0]
    for _ in range(4):
        slider.send_keys(Keys.ARROW_LEFT)
    assert shown_box(browser) == at_start
    name = browser.find_element(By.ID, "picture").get_attribute("aria-label")
    browser.find_element(By.CSS_SELECTOR, "#classes input:checked").send_keys(Keys.ARROW_DOWN)
    assert browser.find_element(By.ID, "picture").get_attribute("aria-label") != name


def test_the_box_from_the_map_is_that_of_the_model(browser):
    """The slider's own boxes agree with the graph's at the graph's threshold."""
    open_file(browser, PHOTOS[0])
    own = shown_box(browser)
    slider = browser.find_element(By.ID, "threshold")
    slider.send_keys(Keys.ARROW_RIGHT)
    script = (
        "const [box, threshold] = [arguments[0], document.getElementById('threshold')];"
        "threshold.step = 0.001; threshold.value = 0.401; threshold.dispatchEvent(new Event('input'));"
        "const other = document.getElementById('picture').dataset.box;"
        "threshold.value = 0.4; threshold.step = 0.05; threshold.dispatchEvent(new Event('input'));"
        "return JSON.parse(other);"
    )
    near = browser.execute_script(script, own)
    assert float(box_ious([own], [near])[0, 0]) >= 0.95


def test_what_is_no_photo_is_said_and_the_page_goes_on(browser, tmp_path):
    (tmp_path / "notes.jpg").write_text("no photo")
    open_file(browser, tmp_path / "notes.jpg")
    assert status(browser) == "notes.jpg cannot be read as an image. Try another one."
    open_file(browser, PHOTOS[0])
    assert "ms" in status(browser)
    browser.execute_script("document.getElementById('status').textContent = ''")
    browser.find_element(By.ID, "camera").click()
    wait(browser).until(lambda _: "There is no camera" in status(browser))


def test_the_camera_shows_its_speed(address):
    fake_camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with page_in_chromium(address, *fake_camera) as browser:
        button = browser.find_element(By.ID, "camera")
        button.click()
        speeds = [measured_fps(browser) for _ in range(3)]
        print(f"camera: {speeds} frames a second")
        assert min(speeds) > 0.2
        assert button.get_attribute("aria-pressed") == "true"
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        open_file(browser, PHOTOS[0])
        wait(browser).until(lambda _: "It took" in status(browser))


def measured_fps(browser):
    """The speed that the page shows next."""
    before = status(browser)
    found = wait(browser).until(
        lambda _: status(browser) != before and re.search(r"([\d.]+) frames a second", status(browser))
    )
    return float(found[1])


def test_nothing_is_loaded_from_elsewhere(browser, address):
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    loaded = browser.execute_script(script)
    assert any(name.startswith(address) for name in loaded)
    assert [name for name in loaded if not name.startswith((address, "blob:"))] == []


def test_the_page_runs_no_script_but_its_own(browser):
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.injected = true';"
        "document.body.append(script); const link = document.createElement('a'); document.body.append(link);"
        "link.setAttribute('onclick', 'window.injected = true'); link.click();"
    )
    assert browser.execute_script("return window.injected") is None
    blocked = "return fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.name)"
    assert browser.execute_script(blocked) == "TypeError"


def test_the_page_fits_a_phone(browser):
    browser.set_window_size(500, 900)
    widths = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    browser.set_window_size(1200, 900)
    assert widths[0] <= widths[1]


def test_a_folder_that_is_in_use_is_refused(localizer, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"`path` must be a new or an empty folder. Received: "):
        save_web(localizer, tmp_path / "site")
    assert [file.name for file in tmp_path.rglob("*")] == ["site", "notes.txt"]


def test_a_runtime_that_cannot_be_downloaded_is_said(localizer, tmp_path, monkeypatch):
    module = sys.modules["keras_cam.export.web"]
    monkeypatch.setattr(module, "_REGISTRY", "http://127.0.0.1:9")
    monkeypatch.setattr(module, "_PACKAGES", (("no/such.tgz", "0" * 64, {}),))
    with pytest.raises(
        OSError, match=r"LiteRT.js must be downloaded once from http://127.0.0.1:9/no/such.tgz"
    ):
        save_web(localizer, tmp_path / "site")
    assert list(tmp_path.iterdir()) == []
