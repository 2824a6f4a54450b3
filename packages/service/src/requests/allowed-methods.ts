import findMyWay, { type HTTPMethod } from 'find-my-way'

export interface AllowedMethodsOptions {
  /** The app's own, so that both routers know the same paths. */
  readonly maxParamLength: number
}

/** Which methods a path has: Fastify answers 404 where another method would do, and a client deserves a 405. */
export class AllowedMethods {
  readonly #router
  readonly #methods = new Set<HTTPMethod>()

  constructor({ maxParamLength }: AllowedMethodsOptions) {
    this.#router = findMyWay({ maxParamLength })
  }

  add(method: string | string[], url: string): void {
    for (const name of [method].flat() as HTTPMethod[]) {
      if (this.#router.hasRoute(name, url)) continue
      this.#methods.add(name)
      this.#router.on(name, url, () => undefined)
    }
  }

  /** The methods of a path, sorted; empty where there is no such path. `*` is the whole server (RFC 9110 §9.3.7). */
  of(path: string): string[] {
    const all = [...this.#methods]
    const here = path === '*' ? all : all.filter((method) => this.#router.find(method, path) !== null)
    return (here.length === 0 ? [] : [...new Set([...here, 'OPTIONS'])]).sort()
  }
}
