// The photo with the plates' outlines, and the chosen plate enlarged.
function corners(result) {
  const points = Array.isArray(result.coordinates) ? result.coordinates : [];
  return points.filter((point) => Number.isFinite(point?.x) && Number.isFinite(point?.y));
}

function drawPhoto(canvas, source, results, chosen) {
  canvas.width = source.width;
  canvas.height = source.height;
  const pen = canvas.getContext("2d");
  pen.drawImage(source, 0, 0);
  const unit = Math.max(source.width, source.height) / 250;
  results.forEach((result, number) => {
    const points = corners(result);
    if (points.length < 3) return;
    for (const [colour, width] of [["#000b", unit * 1.9], [number === chosen ? "#3dff8f" : "#ffd23d", unit]]) {
      pen.beginPath();
      points.forEach((point, at) => (at ? pen.lineTo(point.x, point.y) : pen.moveTo(point.x, point.y)));
      pen.closePath();
      pen.lineJoin = "round";
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.stroke();
    }
  });
  canvas.hidden = false;
  const names = results.map((result) => String(result.plate)).join(", ");
  canvas.setAttribute("aria-label", names ? `The photo, with the outline of ${names}` : "The photo");
}

function drawCrop(canvas, source, result) {
  const points = corners(result);
  canvas.hidden = points.length < 3;
  if (canvas.hidden) return;
  const xs = points.map((point) => point.x), ys = points.map((point) => point.y);
  const margin = (Math.max(...ys) - Math.min(...ys)) * 0.25;
  const left = Math.max(0, Math.min(...xs) - margin), top = Math.max(0, Math.min(...ys) - margin);
  const width = Math.min(source.width, Math.max(...xs) + margin) - left;
  const height = Math.min(source.height, Math.max(...ys) + margin) - top;
  if (width < 1 || height < 1) { canvas.hidden = true; return; }
  canvas.height = 124;
  canvas.width = Math.max(1, Math.min(900, Math.round((124 * width) / height)));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, left, top, width, height, 0, 0, canvas.width, canvas.height);
}
