/** Rules 4, 5 and 6: lanes stay in step, shared ones carry no state, RESP2 and RESP3 stay apart. */

import { type Breakage, sim, unit } from './row.ts';

export const BREAKAGES_OF_LANES: readonly Breakage[] = [
  {
    rule: '4 in step',
    breakage: 'a command that timed out leaves its lane before its reply',
    file: 'src/proxy/upkeep.ts',
    find: 'proxy.answers.answerError(topOf(at), timedOut(address));',
    replace:
      'proxy.answers.answerError(topOf(at), timedOut(address));\n' +
      'if (at === lane.head) {\n' +
      '  lane.head = at.nextInLane;\n' +
      '  lane.count--;\n' +
      '}',
    test: sim('hang'),
  },
  {
    rule: '4 in step',
    breakage: 'a read that is sent elsewhere leaves no stand-in for its late reply',
    file: 'src/upstream/lane.ts',
    find: 'if (before === null) this.head = standIn;\n    else before.nextInLane = standIn;',
    replace:
      'if (before === null) this.head = standIn.nextInLane;\n    else before.nextInLane = standIn.nextInLane;',
    test: sim('hang'),
  },
  {
    rule: '4 in step',
    breakage: 'a reply that nobody asked for is passed over',
    file: 'src/upstream/lane.ts',
    find: 'if (entry === null || !this.#isAsked(entry)) {\n      this.destroy',
    replace:
      'if (entry === null || !this.#isAsked(entry)) {\n      if (entry === null) return;\n      this.destroy',
    test: unit('upstream/lane', 'a surplus reply destroys the lane', 'a surplus reply'),
  },
  {
    rule: '4 in step',
    breakage: 'bytes that are no reply are passed over',
    file: 'src/upstream/lane.ts',
    find: "} else {\n        this.destroy('EDESYNC');\n        return;\n      }",
    replace: '} else {\n        return;\n      }',
    test: unit(
      'upstream/lane',
      'bytes that are not RESP destroys the lane',
      'bytes that are not RESP',
    ),
  },
  {
    rule: '4 in step',
    breakage: 'a wrong answer to the heartbeat is taken for the right one',
    file: 'src/upstream/lane.ts',
    find: "if (text !== expected && !text.startsWith('-')) this.destroy('EDESYNC');",
    replace: '',
    test: unit('upstream/lane-life', 'answered by anything else destroys the lane'),
  },
  {
    rule: '4 in step',
    breakage: 'an error as the answer to the heartbeat destroys the lane',
    file: 'src/upstream/lane.ts',
    find: "if (text !== expected && !text.startsWith('-')) this.destroy('EDESYNC');",
    replace: "if (text !== expected) this.destroy('EDESYNC');",
    test: unit('upstream/lane-life', 'may be answered by an error'),
  },
  {
    rule: '4 in step',
    breakage: 'the heartbeat as the reply to another command goes to a client',
    file: 'src/upstream/lane.ts',
    find: '(entry === heartbeat || this.#isNonce(buf, start, end))',
    replace: 'entry === heartbeat',
    test: unit('proxy/lost-connections', 'but the heartbeat: its answer is nobody else’s'),
  },
  {
    rule: '4 in step',
    breakage: 'a chunk is used anew while the kernel still writes it',
    file: 'src/upstream/lane-out.ts',
    find: 'if (--chunk.holders > 0 || !this.#isSent(chunk)) return;',
    replace: 'if (--chunk.holders > 0) return;',
    test: unit(
      'upstream/lane-chunks',
      'keeps a chunk that is answered while it is still being written',
    ),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'ASKING is not said before the command that ASK sent elsewhere',
    file: 'src/proxy/redirects.ts',
    find: 'else lane.enqueue(request, chunk.slab, offset, offset + length, asking, proxy.time);',
    replace: 'else lane.enqueue(request, chunk.slab, offset, offset + length, false, proxy.time);',
    test: sim('reshard'),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'ASKING goes to the owner of the slot, not to the node that ASK named',
    file: 'src/proxy/redirects.ts',
    find: 'const owner = asking ? request.askNode : (proxy.routing.owner[request.slot] as number);',
    replace: 'const owner = proxy.routing.owner[request.slot] as number;',
    test: sim('reshard'),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'the reply to ASKING is taken for the reply to the command behind it',
    file: 'src/upstream/lane.ts',
    find: 'entry.swallow++;',
    replace: '',
    test: unit('upstream/lane', 'to ASKING are swallowed'),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'ASKING is said behind its command',
    file: 'src/upstream/lane-out.ts',
    find:
      'if (prefix !== null) chunk.length = copyBytes(chunk.slab, chunk.length, prefix, 0, extra);\n' +
      '    entry.chunk = chunk;\n' +
      '    entry.offset = chunk.length;\n' +
      '    entry.length = size;\n' +
      '    chunk.length = copyBytes(chunk.slab, chunk.length, src, start, end);\n',
    replace:
      'entry.chunk = chunk;\n' +
      '    entry.offset = chunk.length;\n' +
      '    entry.length = size;\n' +
      '    chunk.length = copyBytes(chunk.slab, chunk.length, src, start, end);\n' +
      '    if (prefix !== null) chunk.length = copyBytes(chunk.slab, chunk.length, prefix, 0, extra);\n',
    test: sim('reshard'),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'one reply too few is swallowed for a MULTI block',
    file: 'src/proxy/tx/transactions.ts',
    find: 'const swallows = before.length + 1 + transaction.remote;',
    replace: 'const swallows = before.length + transaction.remote;',
    test: sim('none'),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'a database is not selected on the connections that are for it',
    file: 'src/upstream/handshake.ts',
    find: 'if (databaseOf(kind) !== 0) {',
    replace: 'if (databaseOf(kind) < 0) {',
    test: unit(
      'upstream/handshake',
      'selects the database and says READONLY where its kind wants them',
    ),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'a connection whose database could not be selected is used',
    file: 'src/upstream/handshake.ts',
    find: 'const isSelect = this.#sent === this.#selectAt;',
    replace: 'const isSelect = this.#sent < 0;',
    test: unit('upstream/handshake', 'fails when the database cannot be had'),
  },
  {
    rule: '6 RESP version',
    breakage: 'sessions of RESP3 use the lanes of RESP2',
    file: 'src/proxy/sender.ts',
    find: 'durable.kindFor(session) : session.laneKind, time);',
    replace: 'durable.kindFor(session) : session.laneKind & ~LANE_KIND.resp3, time);',
    test: sim('none'),
  },
  {
    rule: '6 RESP version',
    breakage: 'a push is taken for the reply to the command at the head',
    file: 'src/upstream/lane.ts',
    find: 'if (scanner.type === PUSH) {\n      this.#streaming',
    replace: 'if (scanner.type < 0) {\n      this.#streaming',
    test: unit(
      'upstream/lane',
      'come to their commands in order, cut anywhere, with pushes between them',
    ),
  },
  {
    rule: '4 in step',
    breakage: 'a heartbeat without an answer kills the lane of a busy node',
    file: 'src/proxy/upkeep.ts',
    find: 'if (time - since <= patience + waitMs) return;',
    replace:
      "if (time - since > patience + waitMs) lane.destroy('ESILENT');\n" +
      'if (time - since <= patience + waitMs) return;',
    test: unit('proxy/lost-connections', 'and is busy keeps its lane'),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'WATCH goes to the shared lane',
    file: 'src/proxy/tx/watch.ts',
    find: 'const lane = this.#pins.take(node, session.laneKind);',
    replace: 'const lane = lanes.lane(node, session.laneKind, this.#proxy.time);',
    test: unit('proxy/transactions', 'has a connection of its own, on which nobody else is'),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'a connection that watches is lent again without UNWATCH',
    file: 'src/proxy/tx/watch.ts',
    find: 'if (!isClean && lane.state !== LANE.closed) {',
    replace: 'if (lane.state < 0) {',
    test: unit('proxy/transactions', 'its connection is lent again after UNWATCH only'),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'a connection is lent again while replies on it are due',
    file: 'src/proxy/blocking/pins.ts',
    find: 'lane.count > 0 ? AFTER.wait : ',
    replace: '',
    test: unit(
      'proxy/transactions',
      'its connection is not lent again while replies on it are due',
    ),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'a connection that speaks another protocol by now is lent again',
    file: 'src/proxy/tx/watch.ts',
    find: 'this.#pins.give(lane, !isSwitched);',
    replace: 'this.#pins.give(lane);',
    test: unit(
      'proxy/transactions',
      'its connection is not lent again when it speaks another protocol',
    ),
  },
  {
    rule: '5 shared means stateless',
    breakage: 'the commands of a transaction are sent without MULTI and EXEC around them',
    file: 'src/proxy/tx/transaction.ts',
    find: 'return Buffer.concat([...before, this.#bytes.subarray(0, this.#length), ...back, EXEC]);',
    replace:
      'return Buffer.concat([...before, this.#bytes.subarray(MULTI.length, this.#length), ...back]);',
    test: unit('proxy/transactions', 'goes to the shared lane in one piece, whoever else is there'),
  },
];
