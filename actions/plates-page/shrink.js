// Makes any photo small enough for OpenWhisk (1 MB a request, which a report wraps in base64 twice); what a camera wrote beside the
// picture is lost on the way, as it should be.
const MOST_BYTES = 540000;
const SIDES = [2000, 1600, 1280, 1000, 760];
const QUALITIES = [0.92, 0.84, 0.74];

async function opened(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`“${file.name || "This file"}” is no photo that this browser can open.`);
  }
}

async function shrunk(file) {
  const bitmap = await opened(file);
  const canvas = document.createElement("canvas");
  const longest = Math.max(bitmap.width, bitmap.height);
  for (const side of SIDES) {
    const scale = Math.min(1, side / longest);
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff"; // JPEG has no transparency
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    for (const quality of QUALITIES) {
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
      if (blob && blob.size <= MOST_BYTES) {
        bitmap.close();
        return { canvas, blob, image: await base64(blob) };
      }
    }
  }
  throw new Error("This photo cannot be made small enough to be sent.");
}

function base64(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(new Error("The photo could not be read."));
    reader.readAsDataURL(blob);
  });
}
