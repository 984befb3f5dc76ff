import type { ModelConnection } from './model-server.ts';

/** `hang`: nothing runs. `delay`: it runs, but the answers take their time. `cut`: they are lost. */
export const MISHAPS = ['hang', 'delay', 'resume', 'run-unheard', 'cut', 'up'] as const;
export type Mishap = (typeof MISHAPS)[number];

/** One connection, and what has befallen it. */
export class Line {
  readonly #port: ModelConnection;
  #is: 'up' | 'slow' | 'hung' | 'down' = 'up';

  constructor(port: ModelConnection) {
    this.#port = port;
  }

  befall(mishap: Mishap): void {
    switch (mishap) {
      case 'hang':
      case 'delay':
        if (this.#is !== 'up') return;
        this.#port[mishap]();
        this.#is = mishap === 'hang' ? 'hung' : 'slow';
        return;
      case 'resume':
        if (this.#is === 'down') return;
        this.#port.resume();
        this.#is = 'up';
        return;
      case 'run-unheard':
        // A hung server comes to itself after the connection was given up.
        if (this.#is !== 'hung') return;
        this.#port.runUnheard();
        this.#port.down();
        this.#is = 'down';
        return;
      case 'cut':
        this.#port.down();
        this.#is = 'down';
        return;
      case 'up':
        if (this.#is !== 'down') return;
        this.#port.up();
        this.#is = 'up';
    }
  }
}
