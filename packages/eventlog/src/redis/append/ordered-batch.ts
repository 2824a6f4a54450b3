import type { Attempt } from './append-request.ts'

/** Sends one of a batch. @param behind what must be stored before it. */
export type SendInOrder<Item extends Attempt, Answer = unknown> = (
  item: Item,
  behind: Attempt | undefined,
) => Promise<Answer>

/** Sends a batch in one round, so that none is stored where one before it is not. */
export function sendInOrder<Item extends Attempt, Answer>(
  batch: readonly Item[],
  send: SendInOrder<Item, Answer>,
): Promise<PromiseSettledResult<Answer>[]> {
  let behind: Attempt | undefined
  const sent = batch.map((item) => {
    const one = send(item, behind)
    // Of one without entries the log knows no place.
    if (item.request.drafts.length > 0) behind = item
    return one
  })
  return Promise.allSettled(sent)
}
