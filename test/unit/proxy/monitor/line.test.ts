import { describe, expect, it } from 'vitest';
import { monitorLine } from '../../../../src/proxy/monitor/line.ts';

const line = (...args: (string | Buffer)[]): string =>
  monitorLine(
    1_339_518_083_107.412,
    { address: '127.0.0.1:60866', database: 0 },
    args.map((arg) => Buffer.from(arg as string)),
  );
const shown = (...args: (string | Buffer)[]): string => line(...args).slice(line('').length - 2);

describe('a line of MONITOR', () => {
  it('has the time with microseconds and the address', () => {
    expect(line('keys', '*')).toBe('1339518083.107412 [0 127.0.0.1:60866] "keys" "*"');
    expect(monitorLine(1000.001, { address: 'a:1', database: 7 }, [Buffer.from('PING')])).toBe(
      '1.000001 [7 a:1] "PING"',
    );
  });

  it('escapes as Redis does', () => {
    expect(shown('set', 'a', Buffer.from('x"\n\x01\xc3\xa9\\', 'latin1'))).toBe(
      String.raw`"set" "a" "x\"\n\x01\xc3\xa9\\"`,
    );
    expect(shown('\r\t\x07\b')).toBe(String.raw`"\r\t\a\b"`);
    expect(shown('')).toBe('""');
  });

  it.each([
    [['AUTH', 'secret'], '"AUTH" "(redacted)"'],
    [['auth', 'u', 'p'], '"auth" "(redacted)" "(redacted)"'],
    [
      ['HELLO', '3', 'AUTH', 'default', 'pw', 'SETNAME', 'n'],
      '"HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "n"',
    ],
    [['HELLO', '3', 'auth', 'u'], '"HELLO" "3" "auth" "(redacted)"'],
    [
      ['HELLO', '3', 'AUTH', 'u', 'p', 'AUTH', 'u', 'p'],
      `"HELLO" "3" "AUTH"${' "(redacted)"'.repeat(5)}`,
    ],
    // Words that are missing, too many, or a name that looks like an option.
    [['HELLO', 'AUTH', 'default', 'pw'], '"HELLO" "AUTH" "(redacted)" "(redacted)"'],
    [['hello', 'auth', 'pw'], '"hello" "auth" "(redacted)"'],
    [
      ['HELLO', 'AUTH', 'u', 'pw', 'SETNAME', 'n'],
      '"HELLO" "AUTH" "(redacted)" "(redacted)" "SETNAME" "n"',
    ],
    [['HELLO', '3', 'AUTH', 'u', 'my', 'pw'], `"HELLO" "3" "AUTH"${' "(redacted)"'.repeat(3)}`],
    [
      ['HELLO', '3', 'SETNAME', 'auth', 'AUTH', 'u', 'pw'],
      `"HELLO" "3" "SETNAME" "auth"${' "(redacted)"'.repeat(3)}`,
    ],
    [['HELLO', '3', 'SETNAME', 'n'], '"HELLO" "3" "SETNAME" "n"'],
    [
      ['MIGRATE', 'h', '1', 'k', '0', '5', 'COPY', 'AUTH', 'pw'],
      '"MIGRATE" "h" "1" "k" "0" "5" "COPY" "AUTH" "(redacted)"',
    ],
    [
      ['migrate', 'h', '1', '', '0', '5', 'auth2', 'u', 'pw', 'KEYS', 'auth', 'k'],
      '"migrate" "h" "1" "" "0" "5" "auth2" "(redacted)" "(redacted)" "KEYS" "auth" "k"',
    ],
    // A password that is an option's name.
    [
      ['MIGRATE', 'h', '1', 'k', '0', '5', 'AUTH', 'auth', 'REPLACE'],
      '"MIGRATE" "h" "1" "k" "0" "5" "AUTH" "(redacted)" "REPLACE"',
    ],
    [
      ['MIGRATE', 'h', '1', 'k', '0', '5', 'AUTH2', 'keys', 'pw', 'KEYS', 'k'],
      '"MIGRATE" "h" "1" "k" "0" "5" "AUTH2" "(redacted)" "(redacted)" "KEYS" "k"',
    ],
    [
      ['CONFIG', 'SET', 'maxmemory', '1', 'requirepass', 'pw', 'masterauth', 'pw'],
      '"CONFIG" "SET" "maxmemory" "1" "requirepass" "(redacted)" "masterauth" "(redacted)"',
    ],
    [['config', 'set', 'Requirepass'], '"config" "set" "Requirepass"'],
    [
      ['ACL', 'SETUSER', 'bob', 'on', '>pw', '~*'],
      '"ACL" "SETUSER" "bob" "(redacted)" "(redacted)" "(redacted)"',
    ],
    [['ACL', 'WHOAMI'], '"ACL" "WHOAMI"'],
    [['CONFIG', 'GET', 'requirepass'], '"CONFIG" "GET" "requirepass"'],
  ])('leaves the secrets of %j out', (args, expected) => {
    expect(shown(...args)).toBe(expected);
  });

  it('cuts what is very long', () => {
    const text = shown('SET', 'k', Buffer.alloc(100_000, 'x'));
    expect(text).toMatch(/x"\.\.\.$/);
    expect(text.length).toBeLessThan(70_000);
  });
});
