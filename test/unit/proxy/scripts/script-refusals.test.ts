/** What a script says itself, and what its node says of it: the same words, told apart by a question. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SCALAR } from '../../../../src/metrics/definitions.ts';
import { type FakeNode, ordinaryAnswer } from '../bench-nodes.ts';
import { Bench } from '../data-path-bench.ts';

const SLOT_OF_B = 3300;
const WORDS = [
  `MOVED ${SLOT_OF_B} h:7002`,
  'MOVED 1 6.6.6.6:1',
  `ASK ${SLOT_OF_B} h:7002`,
  'TRYAGAIN Multiple keys request during rehashing of slot',
  'CLUSTERDOWN The cluster is down',
  'LOADING Redis is loading the dataset in memory',
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  "READONLY You can't write against a read only replica.",
];
const SCRIPTS = ['EVAL x 1 b', 'EVALSHA x 1 b', 'EVAL_RO x 1 b', 'EVALSHA_RO x 1 b', 'FCALL f 1 b'];
const ROLE_OF_PRIMARY = '*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n';
const ROLE_OF_REPLICA = '*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:7002\r\n$9\r\nconnected\r\n:7\r\n';

let stage: Bench;
let node: FakeNode;
let other: FakeNode;

/** The node's answer to scripts, and to our own questions. */
function answers(to: FakeNode, script: string | null, question: string | null): void {
  to.answer = (args) => {
    const name = args[0] ?? '';
    if (/^(EVAL|FCALL)/.test(name)) return script;
    return /^(EXISTS|DBSIZE|ROLE)$/.test(name) ? question : ordinaryAnswer(args);
  };
}

function timesRun(line: string): number {
  return [...stage.nodes.values()].flatMap(({ log }) => log).filter((each) => each === line).length;
}

/** It refuses the script once, and serves right after. */
function becomesReady(): void {
  let isReady = false;
  node.answer = (args) => {
    const answer = isReady ? '+ran\r\n' : '-LOADING x\r\n';
    if (args[0] === 'EVAL') isReady = true;
    else if (args[0] !== 'EXISTS') return ordinaryAnswer(args);
    return answer;
  };
}

beforeEach(() => {
  stage = new Bench();
  node = stage.node(7001);
  other = stage.node(7002);
  // Lanes that have served something: their nodes are in no doubt.
  stage.client().send('SET b 1', 'SET c 1').take();
});

describe('a script that says itself', () => {
  describe.each(WORDS)('%s', (words) => {
    it.each([...SCRIPTS, 'FCALL_RO f 1 b'])('is believed to have run: %s', (line) => {
      const isRole = words.startsWith('READONLY');
      answers(node, `-${words}\r\n`, isRole ? ROLE_OF_PRIMARY : ':1\r\n');
      const client = stage.client().send(line);
      expect(client.take()).toBe(`-${words}\r\n`);
      stage.advance(30_000);
      expect(timesRun(line)).toBe(1);
      expect(client.send('GET b').take()).toBe('+OK\r\n');
      expect(stage.scalar(SCALAR.retries)).toBe(0);
      expect(stage.scalar(SCALAR.requestsHeld)).toBe(0);
      expect(stage.proxy.routing.motionCount).toBe(0);
      expect(other.log).toEqual(['SET c 1']);
    });
  });

  it('keeps its place among what its client asked for', () => {
    answers(node, '-TRYAGAIN mine\r\n', null);
    const client = stage.client().send('SET b 2', 'EVAL x 1 b', 'GET b', 'EVAL y 1 b');
    expect(client.take()).toBe('+OK\r\n');
    const lane = node.connectionOf('EXISTS b');
    lane.reply(':1\r\n');
    stage.run();
    expect(client.take()).toBe('-TRYAGAIN mine\r\n+OK\r\n');
    lane.reply(':1\r\n');
    stage.run();
    expect(client.take()).toBe('-TRYAGAIN mine\r\n');
  });

  it('is asked about with all its keys, or of none', () => {
    answers(node, '-LOADING x\r\n', ':0\r\n');
    const client = stage.client().send('EVAL x 3 {b}1 {b}2 {b}3 {b}4');
    expect(node.log.at(-1)).toBe('EXISTS {b}1 {b}2 {b}3');
    for (const each of stage.nodes.values()) answers(each, '-LOADING x\r\n', ':0\r\n');
    client.send('EVAL x 0');
    expect(client.take()).toBe('-LOADING x\r\n-LOADING x\r\n');
    expect(timesRun('DBSIZE')).toBe(1);
  });

  it('does not make control hear of a full disk', () => {
    const hints: unknown[] = [];
    Object.assign(stage.proxy.link, { hint: (hint: unknown) => hints.push(hint) });
    answers(node, '-MISCONF mine\r\n', null);
    stage.client().send('EVAL x 1 b');
    expect(hints).toEqual([]);
  });
});

describe('a script for a node that may not be ready', () => {
  const inDoubt = (): void => {
    stage = new Bench();
    node = stage.node(7001);
  };

  it.each(SCRIPTS.filter((line) => line.startsWith('EVAL')))(
    'has its question before it: %s',
    (line) => {
      inDoubt();
      answers(node, '+ran\r\n', ':1\r\n');
      expect(stage.client().send(line).take()).toBe('+ran\r\n');
      expect(node.log).toEqual(['EXISTS b', line]);
    },
  );

  it('is sent again though the node becomes ready right after', () => {
    inDoubt();
    becomesReady();
    const client = stage.client().send('EVAL x 1 b');
    stage.advance(1000);
    expect(client.take()).toBe('+ran\r\n');
  });

  it('runs once if these are its own words', () => {
    inDoubt();
    answers(node, '-LOADING mine\r\n', ':1\r\n');
    const client = stage.client().send('EVAL x 1 b');
    stage.advance(1000);
    expect(client.take()).toBe('-LOADING mine\r\n');
    expect(timesRun('EVAL x 1 b')).toBe(1);
  });

  it('is the same where its slot is in motion', () => {
    answers(node, '+ran\r\n', ':1\r\n');
    stage.proxy.routing.setInMotion(SLOT_OF_B, stage.now);
    stage.client().send('EVAL x 2 {b}1 {b}2');
    expect(node.log.slice(1)).toEqual(['EXISTS {b}1 {b}2', 'EVAL x 2 {b}1 {b}2']);
  });
});

describe('a script that its node refuses', () => {
  it.each(SCRIPTS)('goes where MOVED says: %s', (line) => {
    answers(node, `-MOVED ${SLOT_OF_B} h:7002\r\n`, `-MOVED ${SLOT_OF_B} h:7002\r\n`);
    answers(other, '+ran\r\n', ':1\r\n');
    const client = stage.client().send(line);
    stage.advance(1000);
    expect(client.take()).toBe('+ran\r\n');
    expect(other.log.filter((each) => each === line)).toHaveLength(1);
  });

  it('goes where the node says, not where it would have been sent', () => {
    answers(node, '-MOVED 1 h:7003\r\n', `-MOVED ${SLOT_OF_B} h:7002\r\n`);
    answers(other, '+ran\r\n', ':1\r\n');
    const client = stage.client().send('EVAL x 1 b');
    stage.advance(1000);
    expect(client.take()).toBe('+ran\r\n');
    expect(stage.proxy.routing.owner[1]).toBe(0);
  });

  it('follows ASK with ASKING, as does the question before it', () => {
    answers(node, `-ASK ${SLOT_OF_B} h:7002\r\n`, `-ASK ${SLOT_OF_B} h:7002\r\n`);
    answers(other, '+ran\r\n', ':1\r\n');
    const client = stage.client().send('EVAL x 1 b');
    stage.advance(1000);
    expect(client.take()).toBe('+ran\r\n');
    expect(other.log.slice(1)).toEqual(['ASKING', 'EXISTS b', 'ASKING', 'EVAL x 1 b']);
  });

  it.each(['TRYAGAIN x', 'CLUSTERDOWN x', 'LOADING x', 'MASTERDOWN x'])(
    'is sent again until it is served: %s',
    (words) => {
      answers(node, `-${words}\r\n`, `-${words}\r\n`);
      const client = stage.client().send('EVAL x 1 b');
      stage.advance(600);
      expect(client.take()).toBe('');
      expect(timesRun('EVAL x 1 b')).toBeGreaterThan(3);
      answers(node, '+ran\r\n', ':1\r\n');
      stage.advance(200);
      expect(client.take()).toBe('+ran\r\n');
    },
  );

  it('with READONLY is sent again once the node is a primary', () => {
    answers(node, '-READONLY x\r\n', ROLE_OF_REPLICA);
    const client = stage.client().send('EVAL x 1 b');
    stage.advance(300);
    expect(client.take()).toBe('');
    answers(node, '+ran\r\n', ROLE_OF_PRIMARY);
    stage.advance(300);
    expect(client.take()).toBe('+ran\r\n');
  });

  it('is sent again though the node becomes ready between two of its answers', () => {
    answers(node, '-LOADING x\r\n', '-LOADING x\r\n');
    const client = stage.client().send('EVAL x 1 b');
    becomesReady();
    stage.advance(1000);
    expect(client.take()).toBe('+ran\r\n');
  });

  it('may say such words itself once it is served', () => {
    answers(node, '-LOADING x\r\n', '-LOADING x\r\n');
    const client = stage.client().send('EVAL x 1 b');
    stage.advance(300);
    answers(node, '-LOADING mine\r\n', ':1\r\n');
    const before = timesRun('EVAL x 1 b');
    stage.advance(5000);
    expect(client.take()).toBe('-LOADING mine\r\n');
    expect(timesRun('EVAL x 1 b')).toBe(before + 1);
  });

  it('and that a later command has overtaken is not executed any more', () => {
    answers(node, '-TRYAGAIN x\r\n', '-TRYAGAIN x\r\n');
    const client = stage.client().send('EVAL x 1 b', 'SET b 2');
    stage.advance(1000);
    expect(client.take()).toMatch(/^-TRYAGAIN The slot moved .*\r\n\+OK\r\n$/);
  });
});

describe('while it is not known whose words they are', () => {
  beforeEach(() => answers(node, '-LOADING x\r\n', null));

  it('nothing of its session goes on', () => {
    const client = stage.client().send('EVAL x 1 b');
    client.send('SET b 3');
    expect(node.log).not.toContain('SET b 3');
    node.connectionOf('EXISTS b').reply(':1\r\n');
    stage.run();
    expect(client.take()).toBe('-LOADING x\r\n+OK\r\n');
  });

  it('the client may leave', () => {
    stage.client().send('EVAL x 1 b').leave();
    node.connectionOf('EXISTS b').reply('-LOADING x\r\n');
    stage.advance(1000);
    expect(timesRun('EVAL x 1 b')).toBe(1);
    expect(stage.client().send('GET b').take()).toBe('+OK\r\n');
  });

  it('a lost connection leaves the question open, for good', () => {
    const client = stage.client().send('EVAL x 1 b');
    node.connectionOf('EXISTS b').close();
    stage.advance(1000);
    expect(client.take()).toMatch(/^-UNCERTAIN .*h:7001 .*"LOADING x"/);
    expect(timesRun('EVAL x 1 b')).toBe(1);
  });

  it('a lost connection lets what only reads be sent again', () => {
    const client = stage.client().send('EVAL_RO x 1 b');
    answers(node, '+ran\r\n', ':1\r\n');
    node.connectionOf('EXISTS b').close();
    stage.advance(1000);
    expect(client.take()).toBe('+ran\r\n');
  });

  it('the command time-out ends the waiting', () => {
    stage = new Bench({ cluster: { seeds: ['h:7001'], commandTimeoutMs: '500ms' } });
    node = stage.node(7001);
    answers(node, '-LOADING x\r\n', null);
    const client = stage.client().send('EVAL x 1 b');
    stage.advance(1100);
    expect(client.take()).toMatch(/^-UNCERTAIN No answer from h:7001 /);
    node.connectionOf('EXISTS b').reply('-LOADING x\r\n');
    stage.advance(1000);
    expect(timesRun('EVAL x 1 b')).toBe(1);
    expect(client.take()).toBe('');
  });
});

describe('a script that its node does not answer in time', () => {
  it.each(['EVAL_RO x 1 b', 'EVALSHA_RO x 1 b', 'FCALL_RO f 1 b'])('runs once: %s', (line) => {
    const cluster = { seeds: ['h:7001'], commandTimeoutMs: '500ms' };
    stage = new Bench({ cluster, heartbeatMs: 60_000 });
    node = stage.node(7001);
    stage.client().send('SET b 1');
    answers(node, null, ':1\r\n');
    const client = stage.client().send(line);
    stage.advance(5000);
    expect(client.take()).toMatch(/^-ERR No answer from h:7001 /);
    expect(timesRun(line)).toBe(1);
  });
});
