/** A read-only script whose connection dies: it may be what its node hung of. */
import { expect, it } from 'vitest';
import { last, ordinaryAnswer, silentTo } from '../bench-nodes.ts';
import { Bench } from '../data-path-bench.ts';

/** `b` is a key of 7001. */
const SCRIPT = 'EVAL_RO return 1 b';

it.each([
  ['at once is sent again', 100, /^\+OK\r\n$/, 2],
  ['after silence is not: it may be what kept its node', 500, /^-ERR h:7001 was lost .*script/, 1],
])('a read-only script whose connection dies %s', (_what, ms, answer, sent) => {
  const stage = new Bench();
  const node = stage.node(7001);
  node.answer = silentTo('EVAL_RO');
  const client = stage.client().send(SCRIPT);
  stage.advance(ms);
  node.answer = ordinaryAnswer;
  last(node.connections).close();
  stage.advance(100);
  expect(client.take()).toMatch(answer);
  expect(node.log.filter((line) => line === SCRIPT)).toHaveLength(sent);
});
