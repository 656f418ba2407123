/**
 * Does a command have as many arguments as it takes? `arity` is COMMAND's: the command's name counts,
 * and a negative one means "at least".
 */
export function hasArity(arity: number, argc: number): boolean {
  return arity > 0 ? argc === arity : argc >= -arity;
}
