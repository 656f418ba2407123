/** A client that sends bytes and looks at bytes: for what a decent client would not show. */
import { connect, type Socket } from 'node:net';
import { encodeCommand, type RespArgument } from '../../../src/lib/resp-client.ts';
import { until } from '../cluster.ts';

export class RawClient {
  readonly #socket: Socket;
  #received = '';
  isClosed = false;

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  /** All bytes so far. */
  get received(): string {
    return this.#received;
  }

  send(...commands: readonly (readonly RespArgument[])[]): void {
    this.#socket.write(Buffer.concat(commands.map((command) => encodeCommand(command))));
  }

  write(bytes: string): void {
    this.#socket.write(bytes, 'latin1');
  }

  /** Resolves when `isEnough` says so or the connection is closed. */
  async wait(what: string, isEnough: (received: string) => boolean): Promise<string> {
    await until(what, () => this.isClosed || isEnough(this.#received), 10_000);
    return this.#received;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Closes with RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
}
