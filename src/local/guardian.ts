/**
 * Sees to it that no redis-server and no temporary folder outlives us, whatever ends us.
 *
 * The guardian is a small shell in a session of its own, so that neither Ctrl-C nor a kill of our
 * process group reaches it. It reads from a pipe whose only writer is this process:
 *
 *     pid 123    this process (leader of its own group) is to be ended with us
 *     gone 123   it has ended: its id may by now belong to somebody else
 *     done       all is cleaned up: leave
 *
 * The kernel closes the pipe when this process ends, even by kill -9. On that end of file the
 * guardian sends TERM, after a while KILL (to the groups, for forked children), and removes the
 * folder. A process that only waits to be reaped, for ever in some containers, counts as ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/** In the folder that the guardian may remove; it removes no folder without it. */
export const TEMPORARY_MARK = '.slotgate-temporary';

/** Tenths of a second between TERM and KILL: with persistence a node first writes out its log. */
const TERM_GRACE_TENTHS = 100;
/** Older servers forget a TERM that comes while they write their first append-only file. */
const ASK_AGAIN_TENTHS = 5;

const SCRIPT = `
trap '' HUP INT TERM
pids=' '
while read -r word pid; do
  case $word in
    pid) pids="$pids$pid " ;;
    gone) case $pids in *" $pid "*) pids="\${pids%% $pid *} \${pids#* $pid }" ;; esac ;;
    done) exit 0 ;;
  esac
done
lives() {
  kill -0 "$1" 2>/dev/null || return 1
  { read -r stat < "/proc/$1/stat"; } 2>/dev/null || return 0
  case \${stat##*) } in Z*) return 1 ;; esac
}
any_lives() {
  for pid in $pids; do lives "$pid" && return 0; done
  return 1
}
tenths=0
while any_lives && [ "$tenths" -lt ${TERM_GRACE_TENTHS} ]; do
  if [ $((tenths % ${ASK_AGAIN_TENTHS})) -eq 0 ]; then
    for pid in $pids; do kill -TERM "$pid" 2>/dev/null; kill -CONT "$pid" 2>/dev/null; done
  fi
  sleep 0.1 2>/dev/null || sleep 1
  tenths=$((tenths + 1))
done
for pid in $pids; do kill -KILL "-$pid" 2>/dev/null; done
if [ -n "$1" ] && [ -f "$1/${TEMPORARY_MARK}" ]; then rm -rf -- "$1"; fi
`;

export class Guardian {
  readonly #shell: ChildProcess;
  readonly #exited: Promise<unknown>;
  #released = false;

  /**
   * @param temporaryFolder removed at the end when it holds {@link TEMPORARY_MARK}; '' for none
   * @param onLost the guardian itself has ended, so a crash of ours would leave processes behind
   */
  constructor(temporaryFolder: string, onLost: (reason: string) => void) {
    this.#shell = spawn('sh', ['-c', SCRIPT, 'slotgate-guardian', temporaryFolder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
    });
    this.#exited = new Promise((resolve) => {
      const ended = (reason: string): void => {
        if (!this.#released) onLost(reason);
        resolve(undefined);
      };
      this.#shell.once('error', (error) => ended(error.message));
      this.#shell.once('exit', (code, signal) => ended(`it ended with ${signal ?? code}`));
    });
    // A guardian that died shows as EPIPE here; its exit is reported above.
    this.#shell.stdin?.on('error', () => undefined);
    // Neither handle keeps the process alive: the nodes' own handles do that.
    this.#shell.unref();
    (this.#shell.stdin as Socket | null)?.unref();
  }

  /** A process to end with us; it must lead a process group of its own. */
  watch(pid: number): void {
    this.#tell(`pid ${pid}`);
  }

  /** It has ended: its id may by now belong to somebody else. */
  forget(pid: number): void {
    this.#tell(`gone ${pid}`);
  }

  /** Sends the guardian away; everything that it watched must have ended. */
  async release(): Promise<void> {
    this.#released = true;
    this.#tell('done');
    this.#shell.ref();
    await this.#exited;
  }

  /** Node hands a short line to the kernel at once, so it is out even if we die right after. */
  #tell(line: string): void {
    if (this.#shell.stdin?.writable) this.#shell.stdin.write(`${line}\n`);
  }
}
