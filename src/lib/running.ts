/** A started slotgate as its starter sees it: `serve` and `local` share this shape. */
export interface Running {
  /** "host:port" where Redis clients connect. */
  readonly endpoint: string;
  /** Base address of metrics and API, e.g. "http://127.0.0.1:8379". */
  readonly httpUrl: string;
  /** Drains and stops; resolves when all is closed. Calling it again waits for the same end. */
  close(): Promise<void>;
  /** Resolves after `close()`, rejects with a ProxyError when slotgate could not go on. */
  readonly done: Promise<void>;
}
