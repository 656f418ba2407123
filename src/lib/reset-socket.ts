import type { Socket } from 'node:net';

/**
 * Closes with RST, whatever is still to be written: what the peer has not got by now it never will.
 * net.Socket.resetAndDestroy() would wait until that is written, which is never where the network is
 * cut. Not for a socket that was ended.
 */
export function resetSocket(socket: Socket): void {
  // Read by net.Socket's own _destroy, Node 18.3 and later; others close as ever.
  (socket as Socket & { resetAndClosing?: boolean }).resetAndClosing = true;
  socket.destroy();
}
