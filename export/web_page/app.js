// The page: takes a photo or camera frames and draws the map and box of the chosen class.

import { largestBox, upsample } from "./boxes.js";
import { loadLocalizer } from "./localizer.js";

const find = (id) => document.getElementById(id);
const [picture, status, classes, threshold] = ["picture", "status", "classes", "threshold"].map(find);
const LONGEST = 1280; // pixels of the picture on the screen

const settings = await (await fetch("settings.json")).json();
let localize; // set when the model is loaded
let shown = null; // {image, detections, chosen}
let video = null; // set while the camera runs
let interval = null; // mean milliseconds from one frame of the camera to the next

function say(text, wrong = false) {
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
}

/** Localizes an image and shows the result. */
async function look(image) {
  const start = performance.now();
  const detections = await localize(image);
  const label = shown?.detections[shown.chosen].label;
  const same = video ? detections.findIndex((one) => one.label === label) : -1; // as the camera moves
  shown = { image, detections, chosen: Math.max(same, 0) };
  listClasses();
  draw();
  say(`${detections[0].label}, ${percent(detections[0].score)}. ${speed(performance.now() - start)}`);
}

/** How fast it is: of the camera, once there are two frames, the frames a second. */
function speed(milliseconds) {
  if (video && interval) return `${(1000 / interval).toFixed(1)} frames a second.`;
  return `It took ${Math.round(milliseconds)} ms.`;
}

function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

function listClasses() {
  classes.hidden = false;
  classes.querySelectorAll("label").forEach((label) => label.remove());
  shown.detections.forEach(({ label, score }, index) => {
    const row = document.createElement("label");
    row.style.setProperty("--score", score);
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "class" });
    input.checked = index === shown.chosen;
    input.addEventListener("change", () => {
      shown.chosen = index;
      draw();
    });
    const name = Object.assign(document.createElement("span"), { textContent: label });
    row.append(input, name, Object.assign(document.createElement("span"), { textContent: percent(score) }));
    classes.append(row);
  });
}

/** Draws the image, the map of the chosen class over it, and its box. */
function draw() {
  find("percent").textContent = `${Math.round(100 * threshold.value)} %`;
  if (!shown) return;
  const { image, detections, chosen } = shown;
  const { label, map, box: ownBox } = detections[chosen];
  const [wide, tall] = [image.videoWidth || image.width, image.videoHeight || image.height];
  const scale = Math.min(1, LONGEST / Math.max(wide, tall));
  [picture.width, picture.height] = [Math.round(wide * scale), Math.round(tall * scale)];
  const context = picture.getContext("2d");
  context.drawImage(image, 0, 0, picture.width, picture.height);
  const surface = upsample(map);
  if (find("show-map").checked) context.drawImage(heat(surface), 0, 0, picture.width, picture.height);
  // The model's own box, or a box computed here for another threshold.
  const box = Number(threshold.value) === settings.threshold ? ownBox : largestBox(surface, threshold.value);
  if (box) drawBox(context, box, label);
  const where = box ? ` in ${box.map((value) => value.toFixed(4)).join(" ")}` : ", without a box";
  picture.setAttribute("aria-label", `${label}${where}`);
  picture.dataset.box = JSON.stringify(box);
}

function drawBox(context, [top, left, bottom, right], label) {
  const { width, height } = picture;
  const line = Math.max(2, Math.max(width, height) / 250);
  context.lineWidth = line;
  context.strokeStyle = "#ffdf6b";
  context.shadowColor = "rgb(0 0 0 / 0.6)";
  context.shadowBlur = 2 * line;
  context.strokeRect(left * width + line / 2, top * height + line / 2,
    (right - left) * width - line, (bottom - top) * height - line);
  context.font = `600 ${7 * line}px system-ui, sans-serif`;
  context.fillStyle = "#ffdf6b";
  context.fillText(label, left * width + 3 * line, top * height + 9 * line);
}

/** An upsampled map as a heat map: more opaque where the value is higher. */
function heat({ values, height, width }) {
  const maximum = values.reduce((one, other) => Math.max(one, other), 1e-12);
  const pixels = new ImageData(width, height);
  values.forEach((value, index) => {
    const part = Math.max(value / maximum, 0);
    pixels.data.set([255, 70 + 150 * part * part, 40 * part, 190 * part * part], 4 * index);
  });
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

async function openFile(file) {
  stopCamera();
  try {
    await look(await createImageBitmap(file, { imageOrientation: "from-image" }));
  } catch {
    say(`${file.name} cannot be read as an image. Try another one.`, true);
  }
}

async function startCamera() {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
    await video.play();
  } catch {
    video = null;
    say("There is no camera, or this page is not allowed to use it. Choose a photo instead.", true);
    return;
  }
  find("camera").textContent = "Stop the camera";
  find("camera").setAttribute("aria-pressed", "true");
  for (let last = null; video; ) {
    const frame = await createImageBitmap(video);
    await look(frame);
    const now = await new Promise(requestAnimationFrame);
    if (last && video) interval = interval ? 0.9 * interval + 0.1 * (now - last) : now - last;
    last = now;
  }
}

function stopCamera() {
  video?.srcObject.getTracks().forEach((track) => track.stop());
  video = interval = null;
  find("camera").textContent = "Use the camera";
  find("camera").setAttribute("aria-pressed", "false");
}

threshold.value = settings.threshold;
threshold.addEventListener("input", draw);
find("show-map").addEventListener("change", draw);
find("choose").addEventListener("click", () => find("file").click());
find("file").addEventListener("change", (event) => {
  if (event.target.files.length) openFile(event.target.files[0]);
  event.target.value = ""; // so that the same file can be chosen again
});
find("camera").addEventListener("click", () => (video ? stopCamera() : startCamera()));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.querySelector(".stage").classList.add("over");
});
document.addEventListener("dragleave", () => document.querySelector(".stage").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.querySelector(".stage").classList.remove("over");
  if (localize && event.dataTransfer.files.length) openFile(event.dataTransfer.files[0]);
});
draw();

try {
  localize = await loadLocalizer(settings, (part) => say(`Loading the model … ${Math.round(100 * part)} %`));
  ["choose", "camera"].forEach((id) => (find(id).disabled = false));
  say("Ready.");
} catch (error) {
  say(`The model cannot be loaded: ${error.message}`, true);
}
