// @ts-check
/** A file as pixels, the right way up; large ones are made smaller, which is said. */

/** @typedef {{picture: ImageData, full: {width: number, height: number}}} Read */

const MOST_SIDE = 1600;

/** Null where the browser cannot read it. @param {Blob} blob @returns {Promise<Read | null>} */
export async function readPicture(blob) {
  const bitmap = await opened(blob);
  if (!bitmap) return null;
  const { width, height } = bitmap;
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const canvas = Object.assign(document.createElement("canvas"), size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, size.width, size.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, size.width, size.height);
  bitmap.close();
  return { picture: context.getImageData(0, 0, size.width, size.height), full: { width, height } };
}

/** @param {Blob} blob */
async function opened(blob) {
  try {
    return await createImageBitmap(blob);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return null;
  }
}
