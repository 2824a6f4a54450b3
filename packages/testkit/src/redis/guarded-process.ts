import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** Waits for its input to end, which it does whenever and however its parent ends, then ends the process and its folder. */
const GUARD = 'read -r _; kill -9 "$1" 2>/dev/null; rm -rf "$2"'

/** A process that ends with this one, whatever ends this one, and its folder with it. */
export class GuardedProcess {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  private constructor(child: ChildProcess, guard: ChildProcess) {
    this.#child = child
    this.#exited = once(child, 'exit').finally(() => guard.kill('SIGKILL'))
  }

  /** @throws Error where the program cannot be run. */
  static async start(program: string, args: readonly string[], folder: string): Promise<GuardedProcess> {
    const child = spawn(program, args, { cwd: folder, stdio: 'ignore' })
    await once(child, 'spawn')
    const guard = spawn('/bin/sh', ['-c', GUARD, 'guard', String(child.pid), folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      // A Ctrl-C goes to the whole group, and the guard must outlive it.
      detached: true,
    })
    guard.unref()
    return new GuardedProcess(child, guard)
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error('the process was not started')
    return pid
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Resolves once it is gone. */
  get exited(): Promise<unknown> {
    return this.#exited
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Sends the signal, and waits until it is gone; nothing where it is. */
  async end(name: NodeJS.Signals): Promise<void> {
    if (this.isRunning) {
      this.#child.kill(name)
      // What is stopped takes no other signal than SIGKILL before it goes on.
      this.#child.kill('SIGCONT')
    }
    await this.#exited
  }
}
