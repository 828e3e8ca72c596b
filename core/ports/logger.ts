/** What rooms need of a logger; pino's is one. The message is a stable event name, as `site.joined`; the rest are fields. */
export interface Logger {
  debug(fields: object, event: string): void;
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}
