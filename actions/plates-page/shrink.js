// Makes any photo fit for OpenWhisk (1 MB a request, which a report wraps in base64 twice). One that is small goes as it is, since
// drawing it anew costs the reader detail; either way what a camera wrote beside the picture stays here.
const MOST_BYTES = 540000;
const MOST_PIXELS = 4096 * 4096;
const MOST_TO_LOOK_AT = 8000000;
const SIDES = [2000, 1600, 1280, 1000, 760];
const QUALITIES = [0.92, 0.84, 0.74];

async function opened(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`“${file.name || "This file"}” is no photo that this browser can open.`);
  }
}

// The photo to send: {canvas, blob, image}.
async function prepared(file) {
  const bitmap = await opened(file);
  const found = (await asItIs(file)) || (await shrunk(bitmap));
  bitmap.close();
  return { ...found, image: await base64(found.blob) };
}

// A small upright photo without its metadata, if what is left is a photo to the browser, too.
async function asItIs(file) {
  if (file.size > MOST_TO_LOOK_AT) return null;
  const kept = stripped(new Uint8Array(await file.arrayBuffer()));
  if (!kept || kept.orientation !== 1 || kept.bytes.length > MOST_BYTES) return null;
  const blob = new Blob([kept.bytes]);
  const bitmap = await createImageBitmap(blob).catch(() => null);
  if (!bitmap || bitmap.width * bitmap.height > MOST_PIXELS) return null;
  return { canvas: drawn(bitmap, 1), blob };
}

async function shrunk(bitmap) {
  const longest = Math.max(bitmap.width, bitmap.height);
  for (const side of SIDES) {
    const canvas = drawn(bitmap, Math.min(1, side / longest));
    for (const quality of QUALITIES) {
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
      if (blob && blob.size <= MOST_BYTES) return { canvas, blob };
    }
  }
  throw new Error("This photo cannot be made small enough to be sent.");
}

function drawn(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff"; // JPEG has no transparency
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function base64(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(new Error("The photo could not be read."));
    reader.readAsDataURL(blob);
  });
}
