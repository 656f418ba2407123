/**
 * `npm start --port 7000` without the `--`: npm takes the flag for a setting of its own, and at most
 * its value reaches us. It tells scripts of its settings by variables, which is how this is noticed.
 */

export interface Flag {
  /** `--http-port` */
  readonly long: string;
  readonly takesValue: boolean;
}

/** What to write instead; '' when npm kept none of these flags. `args`: what reached us. */
export function keptByNpm(
  flags: readonly Flag[],
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (env.npm_lifecycle_event !== 'start') return '';
  const byVariable = new Map(flags.map((flag) => [variableOf(flag.long), flag]));
  const values = args.filter((arg) => !arg.startsWith('-'));
  // In the order in which npm was given them, as the values are.
  const kept = Object.entries(env).flatMap(([name, value]) => {
    const flag = byVariable.get(name);
    if (flag === undefined || args.includes(flag.long)) return [];
    if (!flag.takesValue) return [flag.long];
    return [`${flag.long} ${value === 'true' ? (values.shift() ?? '…') : value}`];
  });
  if (kept.length === 0) return '';
  const names = kept.map((text) => text.split(' ', 1)[0]).join(' and ');
  return `npm kept ${names} for itself: write npm start -- ${kept.join(' ')}`;
}

function variableOf(long: string): string {
  return `npm_config_${long.slice(2).replaceAll('-', '_')}`;
}
