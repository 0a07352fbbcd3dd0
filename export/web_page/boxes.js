// Boxes from maps: threshold, connected components, bounding boxes; as in section 3.2 of Zhou et al., CVPR 2016.

const LONGER_SIDE = 224; // of the upsampled map

/** Resizes a map {values, height, width}, in row-major order, bilinearly with half-pixel centres. */
export function upsample({ values, height, width }) {
  const scale = LONGER_SIDE / Math.max(height, width);
  const [tall, wide] = [Math.round(height * scale), Math.round(width * scale)];
  const at = (count, size) =>
    Array.from({ length: count }, (_, index) => {
      const place = Math.min(Math.max(((index + 0.5) * size) / count - 0.5, 0), size - 1);
      const first = Math.floor(place);
      return [first, Math.min(first + 1, size - 1), place - first];
    });
  const columns = at(wide, width);
  const result = new Float32Array(tall * wide);
  at(tall, height).forEach(([above, below, down], y) => {
    columns.forEach(([left, right, across], x) => {
      const mix = (row) => values[row * width + left] * (1 - across) + values[row * width + right] * across;
      result[y * wide + x] = mix(above) * (1 - down) + mix(below) * down;
    });
  });
  return { values: result, height: tall, width: wide };
}

/** The box [ymin, xmin, ymax, xmax] in 0..1 of the largest component above a fraction of the maximum, or null. */
export function largestBox({ values, height, width }, threshold) {
  const maximum = values.reduce((one, other) => Math.max(one, other), 0);
  if (!(maximum > 0)) return null;
  const free = Uint8Array.from(values, (value) => value > threshold * maximum);
  let largest = { size: 0, box: null };
  for (let start = 0; start < free.length; start++) {
    if (!free[start]) continue;
    const component = fill(free, start, height, width);
    if (component.size > largest.size) largest = component;
  }
  return largest.box;
}

/** The size and box of the component that contains a pixel; erases the component from the mask. */
function fill(mask, start, height, width) {
  let [size, top, left, bottom, right] = [0, height, width, 0, 0];
  const open = [start];
  mask[start] = 0;
  while (open.length) {
    const index = open.pop();
    const [y, x] = [Math.floor(index / width), index % width];
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
    size++;
    for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row++) {
      for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column++) {
        if (mask[row * width + column]) open.push(row * width + column);
        mask[row * width + column] = 0;
      }
    }
  }
  return { size, box: [top / height, left / width, (bottom + 1) / height, (right + 1) / width] };
}
