/**
 * What a field is beyond its zod type: how text from the environment or a flag becomes its value,
 * what is allowed in words, whether it is secret. The schema registers it; everything that lists or
 * explains fields (defaults, help, error messages, redaction) reads it from here.
 */
import { z } from 'zod';

export type FieldKind = 'text' | 'integer' | 'boolean' | 'size' | 'duration' | 'list' | 'map';

export interface FieldAbout {
  readonly kind: FieldKind;
  /** Completes "allowed: …" in an error message. */
  readonly allowed: string;
  readonly secret: boolean;
}

/** A zod type with the words about it, before it has a name and a default. */
export interface Leaf<T extends z.ZodType> extends FieldAbout {
  readonly type: T;
}

export interface Field extends FieldAbout {
  readonly path: readonly string[];
  readonly description: string;
  /** As one would write it in the file, e.g. "64mb". */
  readonly initial: unknown;
}

export interface Section {
  readonly path: readonly string[];
  readonly description: string;
  readonly keys: readonly string[];
}

export interface FieldTree {
  readonly fields: readonly Field[];
  /** The root first, with the empty path. */
  readonly sections: readonly Section[];
}

const registry = z.registry<FieldAbout>();

/** Gives a leaf its default (spelled as in a file) and its description. */
export function field<T extends z.ZodType>(
  leaf: Leaf<T>,
  initial: z.input<T>,
  description: string,
): z.ZodPrefault<T> {
  const { kind, allowed, secret } = leaf;
  const schema = z.prefault(leaf.type, initial as never) as z.ZodPrefault<T>;
  const described = schema.meta({ description });
  registry.add(described, { kind, allowed, secret });
  return described;
}

/** A group of fields; leaving it out means all its defaults. Unknown keys are refused. */
export function section<S extends z.core.$ZodLooseShape>(shape: S, description: string) {
  return z
    .strictObject(shape)
    .prefault({} as never)
    .meta({ description });
}

/** Lists the fields and sections of a schema built from {@link field} and {@link section}. */
export function fieldTree(root: z.ZodObject): FieldTree {
  const fields: Field[] = [];
  const sections: Section[] = [];
  const visit = (object: z.ZodObject, path: readonly string[], description: string): void => {
    sections.push({ path, description, keys: Object.keys(object.shape) });
    for (const [key, schema] of Object.entries(object.shape)) {
      const below = [...path, key];
      const wrapped = schema as z.ZodPrefault<z.ZodType>;
      const about = registry.get(wrapped);
      const words = wrapped.description ?? '';
      if (about === undefined) visit(wrapped.unwrap() as z.ZodObject, below, words);
      else
        fields.push({
          ...about,
          path: below,
          description: words,
          initial: wrapped.def.defaultValue,
        });
    }
  };
  visit(root, [], root.description ?? '');
  return { fields, sections };
}

/** The field at `path`, or the one that `path` points into (an item of a list, a key of a map). */
export function fieldAt(tree: FieldTree, path: readonly PropertyKey[]): Field | undefined {
  return tree.fields.find((one) => one.path.every((key, index) => key === path[index]));
}

export function sectionAt(tree: FieldTree, path: readonly PropertyKey[]): Section | undefined {
  return tree.sections.find(
    (one) => one.path.length === path.length && one.path.every((key, i) => key === path[i]),
  );
}

/** `SLOTGATE_CLUSTER__CONNECT_TIMEOUT_MS` for `cluster.connectTimeoutMs`. */
export function environmentName(path: readonly string[]): string {
  const words = path.map((key) =>
    key
      .replaceAll('-', '_')
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .toUpperCase(),
  );
  return `SLOTGATE_${words.join('__')}`;
}
