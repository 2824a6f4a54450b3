/** Lets a reader that was asked on come to where it waits for bytes. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Lets this process and its sockets go on until it is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await settled()
}
