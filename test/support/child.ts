/** What a child can be asked to do; each runs in the child. Arguments and results go by IPC. */
// biome-ignore lint/suspicious/noExplicitAny: only a bottom type would let any function in, and its calls stay typed
export type Handlers = Record<string, (...input: any[]) => unknown>;

/** What the parent sends. */
export type ToChild =
  | {
      readonly is: 'request';
      readonly id: number;
      readonly name: string;
      readonly input: unknown[];
    }
  | { readonly is: 'go'; readonly barrier: string };

/** What the child sends. */
export type ToParent =
  | { readonly is: 'ready' }
  | { readonly is: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly is: 'failure'; readonly id: number; readonly error: ChildFailure }
  | { readonly is: 'event'; readonly name: string; readonly value: unknown }
  | { readonly is: 'at-barrier'; readonly barrier: string };

/** An error on its way to the parent, which can't have its class. */
export interface ChildFailure {
  readonly name: string;
  readonly message: string;
  readonly code: unknown;
  readonly stack: string | undefined;
}

const waitingAtBarrier = new Map<string, () => void>();

/** Sends something to the parent that it did not ask for. */
export function emit(name: string, value?: unknown): void {
  tell({ is: 'event', name, value });
}

/** Waits until the parent has seen all children at this barrier and lets them go together. */
export function barrier(name = 'start'): Promise<void> {
  return new Promise((resolve) => {
    waitingAtBarrier.set(name, resolve);
    tell({ is: 'at-barrier', barrier: name });
  });
}

/**
 * Makes this process a child of a test: answers the parent's requests until the parent is gone, and
 * goes with it.
 */
export function serve(handlers: Handlers): void {
  if (process.send === undefined) throw new Error('this script runs as a child of a test');
  process.once('disconnect', () => process.exit(0));
  process.on('message', (message: ToChild) => {
    switch (message.is) {
      case 'go': {
        const go = waitingAtBarrier.get(message.barrier);
        waitingAtBarrier.delete(message.barrier);
        go?.();
        return;
      }
      case 'request':
        void answer(handlers, message.id, message.name, message.input);
    }
  });
  tell({ is: 'ready' });
}

async function answer(
  handlers: Handlers,
  id: number,
  name: string,
  input: unknown[],
): Promise<void> {
  try {
    const handler = handlers[name];
    if (handler === undefined) throw new Error(`this child can't ${name}`);
    tell({ is: 'reply', id, value: await handler(...input) });
  } catch (error) {
    tell({ is: 'failure', id, error: describe(error) });
  }
}

function describe(error: unknown): ChildFailure {
  if (!(error instanceof Error))
    return { name: 'Error', message: String(error), code: undefined, stack: undefined };
  const { name, message, stack } = error;
  return { name, message, code: 'code' in error ? error.code : undefined, stack };
}

function tell(message: ToParent): void {
  // The parent may be gone in this very moment; then so is this process.
  if (process.connected) process.send?.(message);
}
