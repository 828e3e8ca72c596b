/** A collector that can't go on until a person does something; the message says what. */
export class SiteError extends Error {
  override readonly name = 'SiteError';
}
