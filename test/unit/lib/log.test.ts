import { describe, expect, it } from 'vitest';
import {
  createLogger,
  createLogRarely,
  type LogOptions,
  setLogLevel,
  silentLogger,
} from '../../../src/lib/log.ts';
import { formatLogLine } from '../../../src/lib/log-pretty.ts';

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({
    level: 'info',
    format: 'json',
    isTerminal: false,
    destination,
    ...options,
  });
  return { lines, logger, records: () => lines.map((line) => JSON.parse(line)) };
}

describe('log lines', () => {
  it('are JSON with level, time and message', () => {
    const { logger, records } = capture({ base: { role: 'worker', worker: 2 } });
    logger.warn({ node: '10.0.0.1:7000' }, 'node refused');
    expect(records()).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        role: 'worker',
        worker: 2,
        node: '10.0.0.1:7000',
        msg: 'node refused',
      },
    ]);
  });

  it('are pretty on a terminal unless JSON is asked for', () => {
    const terminal = capture({ format: 'auto', isTerminal: true });
    terminal.logger.info('hello');
    expect(terminal.lines.join('')).toContain('hello');
    expect(terminal.lines.join('')).not.toContain('{');
    const piped = capture({ format: 'auto', isTerminal: false });
    piped.logger.info('hello');
    expect(piped.records()[0].msg).toBe('hello');
    const forced = capture({ format: 'json', isTerminal: true });
    forced.logger.info('hello');
    expect(forced.records()[0].msg).toBe('hello');
  });

  it('follow a level changed at run time, also from child loggers', () => {
    const { logger, records } = capture();
    const child = logger.child({ part: 'lane' });
    const grandchild = child.child({ node: 'a' });
    grandchild.debug('not yet');
    setLogLevel(logger, 'debug');
    logger.debug('root');
    child.debug('child');
    grandchild.debug('grandchild');
    setLogLevel(logger, 'error');
    grandchild.info('no longer');
    expect(records().map((record) => record.msg)).toEqual(['root', 'child', 'grandchild']);
  });

  it('never show secrets', () => {
    const secret = 'hunter2';
    const failed = Object.assign(new Error('WRONGPASS'), {
      command: { name: 'auth', args: ['default', secret] },
      password: secret,
    });
    for (const format of ['json', 'pretty'] as const) {
      const { logger, lines } = capture({ format });
      logger.info({ requirepass: secret, token: secret }, 'flat');
      logger.info({ config: { requirepass: secret, cluster: { password: secret } } }, 'nested');
      logger.info({ headers: { authorization: secret } }, 'headers');
      logger.info({ command: { name: 'auth', args: [secret] } }, 'command');
      logger.error({ err: failed }, 'failed');
      logger.error({ error: new Error('behind', { cause: failed }) }, 'failed');
      logger.error(failed);
      logger.child({ password: secret }).info('child');
      expect(lines.length).toBeGreaterThanOrEqual(8);
      expect(lines.join('')).not.toContain(secret);
      expect(lines.join('')).toContain('WRONGPASS');
    }
  });

  it('are not written by the silent logger', () => {
    expect(silentLogger().isLevelEnabled('fatal')).toBe(false);
  });
});

describe('pretty lines', () => {
  const base = { level: 'info', time: new Date(2024, 0, 2, 3, 4, 5, 6).toISOString(), pid: 7 };
  const pretty = (record: object, color = false): string =>
    formatLogLine(`${JSON.stringify({ ...base, ...record })}\n`, { color });

  it('show time, level, message and the rest as key=value', () => {
    const line = pretty({ msg: 'node refused', node: '10.0.0.1:7000', tries: 3, why: 'no answer' });
    expect(line).toBe(
      '03:04:05.006 INFO  node refused node=10.0.0.1:7000 tries=3 why="no answer"\n',
    );
  });

  it('are coloured only where that is wanted', () => {
    expect(pretty({ msg: 'x' }, true)).toContain('\u001b[32mINFO');
    expect(pretty({ msg: 'x' })).not.toContain('\u001b');
  });

  it('put stacks below, with their causes', () => {
    const err = { stack: 'Error: a\n    at f', cause: { message: 'b' } };
    const lines = pretty({ msg: 'failed', err }).split('\n');
    expect(lines[0]).toMatch(/INFO {2}failed$/);
    expect(lines.slice(1)).toEqual(['    Error: a', '        at f', '    caused by:', '    b', '']);
    expect(pretty({ msg: 'x', error: 'just text' })).toContain('error="just text"');
  });

  it('let no client command the terminal', () => {
    const evil = 'a\u001b[2J\n\u009b31m\u007f';
    const text = pretty({ msg: evil, name: evil, err: { message: evil } });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    expect(text.split('\n')).toHaveLength(4);
  });

  it('pass on what is no record', () => {
    expect(formatLogLine('plain\n', { color: false })).toBe('plain\n');
    expect(formatLogLine('5', { color: false })).toBe('5');
  });
});

describe('standing reasons', () => {
  it('are logged once per interval and key, then with the number left out', () => {
    const { logger, records } = capture();
    let now = 1000;
    const logRarely = createLogRarely(logger, () => now);
    const say = (key: string) =>
      logRarely(key, 5000, { level: 'warn', message: `no primary ${key}`, fields: { key } });
    say('a');
    say('a');
    say('b');
    now = 5999;
    say('a');
    now = 6000;
    say('a');
    expect(records().map(({ key, suppressed }) => [key, suppressed])).toEqual([
      ['a', undefined],
      ['b', undefined],
      ['a', 2],
    ]);
  });

  it('remember a bounded number of keys', () => {
    const { logger, lines } = capture();
    const logRarely = createLogRarely(logger, () => 0);
    const say = (key: string) => logRarely(key, 1000, { level: 'warn', message: key });
    for (let i = 0; i < 2000; i++) say(`node ${i}`);
    say('node 1999');
    expect(lines).toHaveLength(2000);
    say('node 0');
    expect(lines).toHaveLength(2001);
  });
});
