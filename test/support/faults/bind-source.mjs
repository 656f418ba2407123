/**
 * Loaded before slotgate (`node --import`): its connections to the nodes of a partition test come from
 * an address of their own, so that the network can tell it from the others on the same machine.
 */
import { Socket } from 'node:net';

const NODES = /^127\.0\.1\.\d+$/;
const source = process.env.SLOTGATE_TEST_SOURCE;
const connect = Socket.prototype.connect;

Socket.prototype.connect = function connectFrom(...args) {
  // net.connect hands over its arguments already sorted out: [options, callback].
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (source !== undefined && NODES.test(options?.host ?? '')) options.localAddress = source;
  return connect.apply(this, args);
};
