/**
 * One JSON log line made into one line for a person: `12:30:01.250 INFO  message key=value`, with
 * the stack of an error indented below. Control characters are escaped, because a client chooses
 * some of the text and a terminal obeys what it is sent.
 */

const LEVEL_COLORS: Readonly<Record<string, number>> = {
  trace: 90,
  debug: 36,
  info: 32,
  warn: 33,
  error: 31,
  fatal: 35,
};
const GREY = 90;
/** Said by the line itself, or of no use to a person at a terminal. */
const LEFT_OUT = new Set(['level', 'time', 'msg', 'pid', 'hostname']);
const ERROR_KEYS = ['err', 'error'];

/** A line that is no JSON object (never written by the logger itself) passes through unchanged. */
export function formatLogLine(line: string, options: { readonly color: boolean }): string {
  const record = parseRecord(line);
  if (record === undefined) return line;
  const paint = options.color
    ? (code: number, text: string) => `\u001b[${code}m${text}\u001b[0m`
    : (_code: number, text: string) => text;
  const level = String(record.level);
  const parts = [
    paint(GREY, clockTime(record.time)),
    paint(LEVEL_COLORS[level] ?? GREY, level.toUpperCase().padEnd(5)),
  ];
  if (record.msg !== undefined) parts.push(escapeControls(String(record.msg)));
  let below = '';
  for (const [key, value] of Object.entries(record)) {
    const isError = ERROR_KEYS.includes(key) && typeof value === 'object' && value !== null;
    if (isError) below += formatError(value as Record<string, unknown>);
    else if (!LEFT_OUT.has(key)) parts.push(`${paint(GREY, `${key}=`)}${formatValue(value)}`);
  }
  return `${parts.join(' ')}\n${below}`;
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The time of day in the reader's own time zone. */
function clockTime(time: unknown): string {
  const at = new Date(typeof time === 'number' ? time : String(time));
  const two = (value: number) => String(value).padStart(2, '0');
  const millis = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${millis}`;
}

function formatValue(value: unknown): string {
  if (typeof value === 'string' && /^[\w.:/@[\]+-]+$/.test(value)) return value;
  return escapeControls(JSON.stringify(value));
}

function formatError(error: Readonly<Record<string, unknown>>): string {
  const text = String(error.stack ?? error.message ?? JSON.stringify(error));
  const lines = text.split('\n').map((line) => `    ${escapeControls(line)}\n`);
  const cause = error.cause;
  if (cause === undefined || cause === null) return lines.join('');
  const behind =
    typeof cause === 'object'
      ? formatError(cause as Record<string, unknown>)
      : `    ${formatValue(cause)}\n`;
  return `${lines.join('')}    caused by:\n${behind}`;
}

function escapeControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is sought.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
