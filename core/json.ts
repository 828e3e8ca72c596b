/** What a text says as JSON; null when it is none, as where it says null. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
