/** Preloaded into a proxy under test: on any message it collects garbage and tells its memory. */
import { readFileSync } from 'node:fs';

// Children of the proxy inherit the preload, and their messages are not for us.
if (process.env.SLOTGATE_TEST_PID === String(process.ppid)) {
  process.on('message', answer);
  // A proxy that ends is not to be kept by its test.
  process.channel?.unref();
}

function answer(): void {
  // Twice: buffers are freed by the finalizers of what the first collection found.
  globalThis.gc?.();
  setImmediate(() => {
    globalThis.gc?.();
    const { heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
    process.send?.({ rss: residentBytes(), heapUsed, heapTotal, external, arrayBuffers });
  });
}

function residentBytes(): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}
