// The model: from pixels to classes with maps and boxes.

import { Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";

/** Loads the runtime and the model; calls `onProgress` with the fraction that is loaded. */
export async function loadLocalizer(settings, onProgress) {
  await loadLiteRt("litert/");
  const model = await loadAndCompile(await download(settings.model, onProgress), { accelerator: "wasm" });
  return (image) => localize(model, settings, image);
}

async function download(url, onProgress) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} cannot be loaded: ${answer.status}`);
  const total = Number(answer.headers.get("Content-Length"));
  const parts = [];
  let size = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    if (total) onProgress(size / total);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Localizes an image: [{label, score, box, map}], best first. */
async function localize(model, { size_hw, labels }, image) {
  const input = new Tensor(pixels(image, size_hw), [1, ...size_hw, 3]);
  const outputs = await model.run("localize", { images: input });
  const read = async (name) => ({ data: await outputs[name].data(), shape: outputs[name].type.layout.dimensions });
  const [boxes, classes, scores, count, maps] = await Promise.all(
    ["detection_boxes", "detection_classes", "detection_scores", "num_detections",
      outputs.localization_maps ? "localization_maps" : "class_activation_maps"].map(read),
  );
  [input, ...Object.values(outputs)].forEach((tensor) => tensor.delete());
  const [height, width] = [...maps.shape].slice(-2);
  return Array.from(classes.data, (id, row) => ({
    label: labels[id],
    score: scores.data[row],
    box: row < count.data[0] ? [...boxes.data.slice(4 * row, 4 * row + 4)] : null,
    map: { values: maps.data.slice(row * height * width, (row + 1) * height * width), height, width },
  })).sort((one, other) => other.score - one.score);
}

/** RGB pixels in 0..255 of the image, resized without cropping to the model's input size. */
function pixels(image, [height, width]) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // behind transparent pixels
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = new Float32Array(3 * width * height);
  for (let index = 0; index < rgb.length; index++) rgb[index] = rgba[4 * Math.floor(index / 3) + (index % 3)];
  return rgb;
}
