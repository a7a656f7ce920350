/** The interface through which a node logs. It is pino's, so a pino logger fits. */

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

function line(level: string, fields: object, message: string): string {
  const { error, ...others } = fields as { readonly error?: unknown };
  const shown = error instanceof Error ? { ...others, error: error.stack ?? error.message } : fields;
  return `${JSON.stringify({ level, time: new Date().toISOString(), message, ...shown })}\n`;
}

/** Writes warnings and errors to stderr, one JSON object per line. */
export const stderrLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (fields, message) => void process.stderr.write(line('warn', fields, message)),
  error: (fields, message) => void process.stderr.write(line('error', fields, message)),
};
