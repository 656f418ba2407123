/** The right to change the layout, over nodes that answer as the test says. */
import { beforeEach, describe, expect, it } from 'vitest';
import { keySlot } from '../../../../src/commands/slot.ts';
import {
  type BatchResult,
  NodeCallError,
  type NodeCommand,
} from '../../../../src/control/node-client.ts';
import {
  JobLease,
  LEASE_KEY,
  LEASE_MS,
  LeaseTaken,
} from '../../../../src/control/scaling/job-lease.ts';
import type { NodeEndpoint } from '../../../../src/topology/build.ts';
import { NO_SHARD, type Snapshot } from '../../../../src/topology/snapshot.ts';
import { halves, slotsOf } from '../../route/snapshots.ts';
import { VirtualTime } from './virtual-time.ts';

const SLOT = keySlot(LEASE_KEY);
/** The owner, by halves(): shard 0 is h:1. */
const OWNER = SLOT < 8192 ? 1 : 2;
const OTHER = 3 - OWNER;

let time: VirtualTime;
let asked: string[];
let snapshot: Snapshot | null;
/** The answers in their order; the last one stays. */
let answers: (Partial<BatchResult> | Error)[];

beforeEach(() => {
  time = new VirtualTime();
  asked = [];
  snapshot = halves();
  answers = [];
});

function lease(holder = 'me'): JobLease {
  const batch = async (
    { port }: NodeEndpoint,
    commands: readonly NodeCommand[],
  ): Promise<BatchResult[]> => {
    asked.push(`${time.now} ${port} ${commands.map(([name]) => name).join()}`);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return commands.map(() => ({ value: null, error: '', ...answer }));
  };
  const nodes = { batch, callNode: () => Promise.reject(new Error()), snapshot: () => snapshot };
  return new JobLease({ nodes, holder, now: () => time.now, pause: time.pause });
}

describe('taking it', () => {
  it('asks the owner of its key once, and returns the record that is there', async () => {
    answers = [{ value: [1, Buffer.from('{"é":1}')] }];
    expect(await lease().take('')).toBe('{"é":1}');
    expect(asked).toEqual([`0 ${OWNER} EVAL`]);
  });

  it('sends its key, who it is, how long it lasts and the record', async () => {
    let sent: readonly unknown[] = [];
    const batch = async (_: NodeEndpoint, commands: readonly NodeCommand[]) => {
      sent = commands[0] ?? [];
      return [{ value: [1, Buffer.from('')], error: '' }];
    };
    const nodes = { batch, callNode: () => Promise.reject(new Error()), snapshot: () => snapshot };
    const one = new JobLease({ nodes, holder: 'me', now: () => 0, pause: time.pause });
    expect(await one.take('{"a":1}')).toBe('');
    expect(sent.slice(2)).toEqual(['1', LEASE_KEY, 'me', String(LEASE_MS), '{"a":1}']);
  });

  it('is refused while another has it, with its name and time', async () => {
    answers = [{ value: [0, Buffer.from('they'), 3200] }];
    const refused = lease().take('x');
    await expect(refused).rejects.toThrow(LeaseTaken);
    await expect(refused).rejects.toThrow(/slotgate they .*4 s more/);
    expect(asked.length).toBe(1);
  });
});

describe('the key', () => {
  it('that moves is asked for at the other end, ASKING first, and then at its owner again', async () => {
    answers = [
      { error: `ASK ${SLOT} 10.0.0.9:7009` },
      { error: `MOVED ${SLOT} h:${OWNER}` },
      { value: [1, Buffer.from('')] },
    ];
    expect(await time.until(lease().take(''))).toBe('');
    expect(asked).toEqual([`0 ${OWNER} EVAL`, '0 7009 ASKING,EVAL', `100 ${OWNER} EVAL`]);
  });

  it('that has moved is asked for where the picture shows it, once that has come', async () => {
    answers = [{ error: `MOVED ${SLOT} h:${OTHER}` }, { value: [1, Buffer.from('')] }];
    const taken = lease().take('');
    await Promise.resolve();
    snapshot = halves({ slots: slotsOf(() => OTHER - 1) });
    await time.until(taken);
    expect(asked).toEqual([`0 ${OWNER} EVAL`, `100 ${OTHER} EVAL`]);
  });

  it.each<[string, Partial<BatchResult> | Error]>([
    ['refuses', { error: 'CLUSTERDOWN the cluster is down' }],
    ['does not answer', new NodeCallError('h:1', { code: 'timeout', message: 'no answer' })],
  ])('whose node %s is asked for again every 100 ms', async (_, trouble) => {
    answers = [trouble, trouble, { value: Buffer.from('record') }];
    expect(await time.until(lease().read())).toBe('record');
    expect(asked).toEqual([`0 ${OWNER} HGET`, `100 ${OWNER} HGET`, `200 ${OWNER} HGET`]);
  });

  it('that has no owner, or of a cluster that is not known yet, is waited for', async () => {
    answers = [{ value: null }];
    snapshot = null;
    const read = lease().read();
    expect(await time.until(read, () => time.now >= 300)).toBeUndefined();
    snapshot = halves({ slots: slotsOf(() => NO_SHARD) });
    expect(await time.until(read, () => time.now >= 600)).toBeUndefined();
    expect(asked).toEqual([]);
    snapshot = halves();
    expect(await time.until(read)).toBe('');
    expect(asked.length).toBe(1);
  });

  it('is waited for half a minute, and then it is said what was in the way', async () => {
    answers = [{ error: 'CLUSTERDOWN the cluster is down' }];
    const read = time.until(lease().read());
    await expect(read).rejects.toThrow(/slotgate:scaling cannot be asked: CLUSTERDOWN/);
    await expect(read).rejects.toThrow(NodeCallError);
    expect(time.now).toBeGreaterThanOrEqual(30_000);
    expect(time.now).toBeLessThan(31_000);
  });

  it.each([
    'NOPERM no permissions to access a key',
    'WRONGTYPE Operation against a key holding the wrong kind of value',
  ])('that %s is said at once: it would be said again', async (error) => {
    answers = [{ error }];
    const read = time.until(lease().read());
    await expect(read).rejects.toMatchObject({ failure: { code: 'auth' } });
    expect(asked.length).toBe(1);
  });

  it('an error of our own is not taken for a node that is away', async () => {
    answers = [new TypeError('a slip')];
    await expect(lease().read()).rejects.toThrow('a slip');
    expect(asked.length).toBe(1);
  });
});

it('is given back by whoever has it', async () => {
  answers = [{ value: 1 }];
  await lease().release();
  expect(asked).toEqual([`0 ${OWNER} EVAL`]);
});
