/** A copy of the program and its tests, in which things may be broken. */

import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Breakage, broken } from './row.ts';

const COPIED = ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.ts'];

export class WorkTree {
  readonly path: string;

  constructor(checkout: string, path: string) {
    this.path = path;
    mkdirSync(path);
    for (const name of COPIED) cpSync(join(checkout, name), join(path, name), { recursive: true });
    // A folder of links, so that what tools keep beside the packages stays in here.
    const packages = join(path, 'node_modules');
    mkdirSync(packages);
    for (const name of readdirSync(join(checkout, 'node_modules'))) {
      if (name.startsWith('.') && name !== '.bin') continue;
      symlinkSync(join(checkout, 'node_modules', name), join(packages, name));
    }
  }

  /** Breaks it; what is returned mends it again. */
  apply(row: Breakage): () => void {
    const file = join(this.path, row.file);
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, broken(row, text));
    return () => writeFileSync(file, text);
  }
}
