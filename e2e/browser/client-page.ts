import type { BrowserContext, Locator, Page } from 'playwright-core'

/** The page at `/sse-client.html` as its user has it in front of him, with what it complained about. */
export class ClientPage implements AsyncDisposable {
  readonly page: Page
  /** Errors and warnings of its console (violations of its security policy among them), and what it threw. */
  readonly complaints: string[] = []
  /** Requests to anywhere but the service it came from. */
  readonly strangers: string[] = []

  private constructor(page: Page, serviceUrl: string) {
    this.page = page
    page.on('pageerror', (error) => this.complaints.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text())
    })
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith('data:') && !url.startsWith(`${serviceUrl}/`)) this.strangers.push(url)
    })
  }

  static async open(context: BrowserContext, serviceUrl: string): Promise<ClientPage> {
    const client = new ClientPage(await context.newPage(), serviceUrl)
    await client.page.goto(`${serviceUrl}/sse-client.html`)
    await client.page.locator('#start:enabled').waitFor()
    return client
  }

  /** Where the stream stands, in a word or two. */
  get state(): Locator {
    return this.page.getByRole('status').first()
  }

  get board(): Locator {
    return this.page.locator('#board')
  }

  /** What a run came to, or how far it is. */
  get counts(): Locator {
    return this.page.locator('#board-counts')
  }

  /** A control of the stream's form, by its name. */
  field(name: string): Locator {
    return this.page.locator(`#stream-form [name="${name}"]`)
  }

  /** Chooses a stream by what the page calls it. */
  async choose(label: string): Promise<void> {
    await this.field('kind').selectOption({ label })
  }

  /** Opens what is folded away at first. */
  async unfoldOptions(): Promise<void> {
    await this.page.locator('.more summary').click()
  }

  async start(): Promise<void> {
    await this.page.locator('#start').click()
  }

  /** Starts, and waits until the stream stands. */
  async connect(): Promise<void> {
    await this.start()
    await this.page.locator('#state[data-state=open]').waitFor()
    await this.rows('connection').first().waitFor()
  }

  /** Waits until the stream has ended for good, and answers what the page says of that. */
  async ended(): Promise<string | null> {
    await this.page
      .locator('#state:is([data-state=finished], [data-state=closed], [data-state=failed])')
      .waitFor()
    return this.state.textContent()
  }

  /** The rows of the log of one type. */
  rows(type: string): Locator {
    return this.page.locator(`#log > li[data-type="${type}"]`)
  }

  /** The row of a task, by its id. */
  task(taskId: string): Locator {
    return this.page.locator(`.task[data-task="${taskId}"]`)
  }

  /** Sends by the form, and answers what it says. */
  async send(target: 'User' | 'Group' | 'All' | 'Filtered', fields: Record<string, string>): Promise<string> {
    const form = this.page.locator('#send-form')
    await form.getByText(target, { exact: true }).first().click()
    for (const [label, value] of Object.entries(fields)) {
      await form.locator(`[name="${label}"]`).fill(value)
    }
    const answer = form.locator('#send-answer')
    await answer.evaluate((element) => {
      element.textContent = ''
    })
    await form.getByRole('button', { name: 'Send' }).click()
    await answer.filter({ hasText: /./ }).waitFor()
    return (await answer.textContent()) ?? ''
  }

  /** Notes each width that a bar is given from now on, by its task; the run's own under `run`. */
  async recordWidths(): Promise<void> {
    await this.page.evaluate(() => {
      const widths: Record<string, number[]> = {}
      Object.assign(globalThis, { widths })
      const note = (fill: Element) => {
        const task = fill.closest<HTMLElement>('.task')?.dataset.task ?? 'run'
        widths[task] ??= []
        widths[task].push(Number.parseFloat((fill as HTMLElement).style.inlineSize))
      }
      new MutationObserver((records) => {
        for (const { target } of records)
          if (target instanceof Element && target.matches('.fill')) note(target)
      }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['style'] })
    })
  }

  async recordedWidths(): Promise<Record<string, number[]>> {
    return this.page.evaluate(() => (globalThis as unknown as { widths: Record<string, number[]> }).widths)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close()
  }
}
