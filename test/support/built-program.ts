/** slotgate compiled into a folder of its own, as it is installed: starts quickly, and can be replaced. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COMPILER = join(ROOT, 'node_modules/typescript/bin/tsc');

export interface BuiltProgram {
  /** The compiled src/. */
  readonly dist: string;
  /** What `slotgate` is. */
  readonly cli: string;
  remove(): void;
}

export async function buildProgram(): Promise<BuiltProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'slotgate-program-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const dist = join(folder, 'dist');
  try {
    copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const args = [COMPILER, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', dist];
    await promisify(execFile)(process.execPath, args, { cwd: ROOT });
    return { dist, cli: join(dist, 'cli/slotgate.js'), remove };
  } catch (error) {
    remove();
    throw error;
  }
}
