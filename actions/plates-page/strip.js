// A photo's file without what stands beside its picture: the bytes that decoding needs, as they are, and no others.
// JPEG: ITU-T T.81 annex B; PNG: W3C PNG, chunks; WebP: RFC 9649. What is unusual gives null, and is drawn anew instead.
const ORIENTATION = 0x0112;
const JFIF = [0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0]; // says that colours are YCbCr, without a thumbnail
const ADOBE = [0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f, 0x62, 0x65, 0, 100, 0, 0, 0, 0]; // one byte is missing: the transform of colours
const SCAN = 0xda, END = 0xd9, COMMENT = 0xfe;
const DECODING = new Set([0xc0, 0xc1, 0xc2, 0xc4, 0xdb, 0xdc, 0xdd, SCAN]);

const word = (bytes, at) => (bytes[at] << 8) | bytes[at + 1];
const text = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));

// {bytes, orientation} of a JPEG, PNG or WebP; null for anything else.
function stripped(bytes) {
  const kept = bytes[0] === 0xff && bytes[1] === 0xd8 ? strippedJpeg(bytes)
    : text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n" ? strippedPng(bytes)
      : text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 4) === "WEBP" ? strippedWebp(bytes) : null;
  return kept && { bytes: joined(kept.parts), orientation: kept.orientation };
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

function strippedJpeg(bytes) {
  const parts = [bytes.subarray(0, 2)];
  let orientation = 1;
  for (let at = 2; at + 1 < bytes.length;) {
    if (bytes[at] !== 0xff) return null;
    const marker = bytes[at + 1];
    if (marker === 0xff) { at += 1; continue; }
    if (marker === END) { parts.push(Uint8Array.of(0xff, END)); return { parts, orientation }; }
    const end = at + 2 + word(bytes, at + 2);
    if (end < at + 4 || end > bytes.length) return null;
    if (DECODING.has(marker)) {
      const after = marker === SCAN ? scanEnd(bytes, end) : end;
      parts.push(bytes.subarray(at, after));
      at = after;
      continue;
    }
    if (marker !== COMMENT && (marker & 0xf0) !== 0xe0) return null;
    if (marker === 0xe0 && text(bytes, at + 4, 5) === "JFIF\0") parts.push(JFIF);
    if (marker === 0xee && end >= at + 16 && text(bytes, at + 4, 5) === "Adobe") parts.push(ADOBE, bytes.subarray(at + 15, at + 16));
    if (marker === 0xe1 && text(bytes, at + 4, 4) === "Exif") orientation = orientationIn(bytes.subarray(at + 4, end));
    at = end;
  }
  return null;
}

// Where a scan's data ends: at the next marker that is none of its own.
function scanEnd(bytes, start) {
  let at = start;
  while (at + 1 < bytes.length && (bytes[at] !== 0xff || bytes[at + 1] === 0 || (bytes[at + 1] & 0xf8) === 0xd0)) at += 1;
  return at;
}

function strippedPng(bytes) {
  const parts = [bytes.subarray(0, 8)];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  for (let at = 8; at + 12 <= bytes.length;) {
    const kind = text(bytes, at + 4, 4);
    const end = at + 12 + view.getUint32(at);
    if (end > bytes.length || kind === "acTL") return null;
    if (["IHDR", "PLTE", "tRNS", "IDAT", "IEND"].includes(kind)) parts.push(bytes.subarray(at, end));
    else if (kind === "eXIf") orientation = orientationIn(bytes.subarray(at + 8, end - 4));
    else if (kind[0] < "a") return null; // another chunk without which it cannot be decoded
    if (kind === "IEND") return { parts, orientation };
    at = end;
  }
  return null;
}

function strippedWebp(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = 8 + view.getUint32(4, true);
  const header = bytes.slice(0, 12);
  const parts = [header];
  let orientation = 1;
  if (whole > bytes.length) return null;
  for (let at = 12; at + 8 <= whole;) {
    const kind = text(bytes, at, 4);
    const size = view.getUint32(at + 4, true);
    const end = at + 8 + size + (size % 2);
    if (end > whole || kind === "ANIM") return null;
    const part = bytes.slice(at, end);
    if (kind === "VP8X") part[8] &= ~0x2c; // the flags of profile, EXIF and XMP
    if (["VP8X", "ALPH", "VP8 ", "VP8L"].includes(kind)) parts.push(part);
    if (kind === "EXIF") orientation = orientationIn(bytes.subarray(at + 8, at + 8 + size));
    at = end;
  }
  new DataView(header.buffer).setUint32(4, parts.reduce((sum, part) => sum + part.length, 0) - 8, true);
  return { parts, orientation };
}

// How the camera was held, as EXIF says it: 1 is upright, 0 is unknown.
function orientationIn(block) {
  const exif = text(block, 0, 6) === "Exif\0\0" ? block.subarray(6) : block;
  const little = text(exif, 0, 2) === "II";
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  try {
    const first = view.getUint32(4, little);
    const count = view.getUint16(first, little);
    for (let at = first + 2; at < first + 2 + 12 * count; at += 12) {
      if (view.getUint16(at, little) === ORIENTATION) return view.getUint16(at + 8, little);
    }
    return 1;
  } catch {
    return 0;
  }
}
