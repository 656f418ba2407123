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
  const kept = flags.filter((flag) => {
    return env[variableOf(flag.long)] !== undefined && !args.includes(flag.long);
  });
  if (kept.length === 0) return '';
  const names = kept.map(({ long }) => long).join(' and ');
  const words = kept.map((flag) => withValue(flag, kept, args, env[variableOf(flag.long)]));
  return `npm kept ${names} for itself: write npm start -- ${words.join(' ')}`;
}

/** Which value belongs to which of several flags npm does not tell. */
function withValue(
  { long, takesValue }: Flag,
  kept: readonly Flag[],
  args: readonly string[],
  given: string | undefined,
): string {
  if (!takesValue) return long;
  if (given !== 'true') return `${long} ${given}`;
  const isOnly = kept.filter((flag) => flag.takesValue).length === 1;
  const values = args.filter((arg) => !arg.startsWith('-'));
  return `${long} ${isOnly && values.length === 1 ? values[0] : '…'}`;
}

function variableOf(long: string): string {
  return `npm_config_${long.slice(2).replaceAll('-', '_')}`;
}
