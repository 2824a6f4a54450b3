/**
 * How long after Redis is back what a failover lost of a run may yet be put back by the node that had it, in ms: nodes
 * come to the new master one after the other.
 */
export const PUT_BACK_MS = 5_000
