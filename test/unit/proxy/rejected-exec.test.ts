/** An EXEC that is rejected ends its transaction and what was watched, as one that runs. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Bench } from './data-path-bench.ts';

let stage: Bench;

beforeEach(() => {
  stage = new Bench();
});

const REJECTED =
  "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n";

describe('EXEC with arguments', () => {
  it('ends the transaction: what follows runs', () => {
    const client = stage.client().send('MULTI', 'SET b 1', 'EXEC now', 'SET b 2');
    expect(client.take()).toBe(`+OK\r\n+QUEUED\r\n${REJECTED}+OK\r\n`);
  });

  it('ends what was watched outside MULTI, too: another shard may be watched', () => {
    const client = stage.client().send('WATCH b');
    client.take();
    client.send('EXEC now', 'WATCH c');
    expect(client.take()).toBe(`${REJECTED}+OK\r\n`);
  });
});

describe('MSET with a value missing', () => {
  it('is queued inside MULTI, as by a server', () => {
    const client = stage.client().send('MULTI', 'MSET b 1 b');
    expect(client.take()).toBe('+OK\r\n+QUEUED\r\n');
  });

  it('is refused where its keys are of several slots', () => {
    const client = stage.client().send('MULTI', 'MSET b 1 c');
    expect(client.take()).toContain('-CROSSSLOT ');
  });
});
