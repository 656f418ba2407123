import { describe, expect, it } from 'vitest';
import type { Session } from '../../../src/downstream/session.ts';
import { SCALAR } from '../../../src/metrics/definitions.ts';
import { WorkerMetrics } from '../../../src/metrics/worker-metrics.ts';
import { COMMANDS_BEFORE_AUTH, Logins, TOO_MANY_BEFORE_AUTH } from '../../../src/proxy/logins.ts';
import { Bench } from './data-path-bench.ts';

const WRONGPASS = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
const NOAUTH = '-NOAUTH Authentication required.\r\n';
const MANY = 10_000;

const linesOf = (said: string): string[] => said.split(/(?<=\r\n)/);

describe('before AUTH', () => {
  it.each([
    ['AUTH wrong', WRONGPASS],
    ['GET k', NOAUTH],
    ['RESET', '+RESET\r\n'],
  ])('a pipeline of %s ends after a bound', (command, reply) => {
    const { bench, client } = setUp();
    client.send(...new Array<string>(MANY).fill(command));
    const said = linesOf(client.take());
    expect(said).toEqual([
      ...new Array<string>(COMMANDS_BEFORE_AUTH).fill(reply),
      `-${TOO_MANY_BEFORE_AUTH}\r\n`,
    ]);
    expect(client.isClosed).toBe(true);
    expect(bench.scalar(SCALAR.rejectedAuth)).toBe(1);
  });

  it('also over many reads, of which the last are not looked at', () => {
    const { bench, client } = setUp();
    client.isReading = false;
    for (let i = 0; i < 20; i++) client.send('PING', 'PING', 'PING', 'PING', 'PING');
    expect(bench.scalar(SCALAR.authFailures)).toBe(COMMANDS_BEFORE_AUTH);
    expect(client.isPaused).toBe(true);
  });

  it('each failure counts, wrong passwords and commands without one', () => {
    const { bench, client } = setUp();
    client.send('AUTH x', 'HELLO 3 AUTH default y', 'GET k', 'AUTH secret', 'PING');
    expect(client.take()).toBe(`${WRONGPASS}${WRONGPASS}${NOAUTH}+OK\r\n+PONG\r\n`);
    expect(bench.scalar(SCALAR.authFailures)).toBe(3);
    expect(bench.scalar(SCALAR.rejectedAuth)).toBe(0);
  });

  it('the right password in time ends the counting', () => {
    const { client } = setUp();
    client.send(...new Array<string>(COMMANDS_BEFORE_AUTH - 1).fill('AUTH x'), 'AUTH secret');
    client.take();
    client.send(...new Array<string>(COMMANDS_BEFORE_AUTH * 3).fill('AUTH x'), 'PING');
    expect(linesOf(client.take()).at(-1)).toBe('+PONG\r\n');
    expect(client.isClosed).toBe(false);
  });

  function setUp() {
    const bench = new Bench({ requirepass: 'secret' });
    return { bench, client: bench.client() };
  }
});

describe('what is told of failures', () => {
  const from = (remoteAddress: string) => ({ stream: { remoteAddress } }) as Session;

  it('is the worst address and the sums, at most once a minute', () => {
    const logins = new Logins(new WorkerMetrics(['other']));
    expect(logins.news(0)).toBeNull();
    logins.onFailure(from('10.0.0.1:4000'));
    const first = { failures: 1, addresses: 1, address: '10.0.0.1', ofAddress: 1 };
    expect(logins.news(1000)).toEqual(first);
    logins.onFailure(from('10.0.0.1:4000'));
    logins.onFailure(from('[::1]:4000'));
    logins.onFailure(from('[::1]:4001'));
    expect(logins.news(60_999)).toBeNull();
    const sums = { failures: 3, addresses: 2, address: '[::1]', ofAddress: 2 };
    expect(logins.news(61_000)).toEqual(sums);
    expect(logins.news(200_000)).toBeNull();
  });

  it('does not grow with the number of addresses', () => {
    const logins = new Logins(new WorkerMetrics(['other']));
    for (let i = 0; i < 5000; i++) logins.onFailure(from(`10.0.${i >> 8}.${i & 255}:1`));
    expect(logins.news(0)).toMatchObject({ failures: 5000, addresses: 1000 });
  });
});
