import { inspect } from 'node:util';

/**
 * A value that shows only `shown` when it is printed, inspected, serialised or put into a string; `reveal()`
 * gives it away, so every use of a secret can be found by that name.
 */
export class Secret<T = string> {
  readonly #value: T;
  readonly #shown: string;

  constructor(value: T, shown = '[secret]') {
    this.#value = value;
    this.#shown = shown;
  }

  /** The value itself: never to be logged. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return this.#shown;
  }

  toJSON(): string {
    return this.#shown;
  }

  [inspect.custom](): string {
    return this.#shown;
  }
}
